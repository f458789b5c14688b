"""From a git push to an image that runs: repository, connection, build, pipeline."""
