"""AWS Cost Explorer."""
