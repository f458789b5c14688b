"""Secrets Manager: moto's secrets, found as AWS finds them, and read in a role's name."""
