"""What runs in the cluster: task definitions, tasks, the service and what leads to it."""
