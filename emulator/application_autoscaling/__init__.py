"""Application Auto Scaling: how a service's tasks follow a metric."""
