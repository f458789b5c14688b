"""ACM: certificates."""
