"""What create_cluster.py builds: one module for one kind of resource, its `create` and its `delete` side by side."""
