"""The trainer: it appends events to a run directory and never knows who watches."""
