"""Text from a checkpoint, on an own copy of the weights."""
