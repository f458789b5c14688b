"""Between buckets and volumes: copies, the sync of the weights, and its schedule."""
