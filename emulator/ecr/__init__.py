"""ECR: repositories and images."""
