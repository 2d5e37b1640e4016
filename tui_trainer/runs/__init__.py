"""The run directory: what one process writes and any other may read."""
