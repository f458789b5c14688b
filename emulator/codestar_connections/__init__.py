"""CodeConnections, under both of its names, and the Git host behind it."""
