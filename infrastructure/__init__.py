"""What the pages build: one module for one kind of resource, its `create` and its `delete` side by side; parts.py lists them."""
