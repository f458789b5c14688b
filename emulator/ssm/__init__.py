"""SSM: Parameter Store."""
