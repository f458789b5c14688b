"""Container registries: which images there are, and what a registry answers about them."""
