"""From a bucket to a volume: the sync of the weights, and its schedule."""
