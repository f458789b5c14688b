"""IAM: roles and instance profiles, and what a role's policies allow."""
