"""What a reader makes of a run directory: state, history, time left, and numbers as people read them."""
