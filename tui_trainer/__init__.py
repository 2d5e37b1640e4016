"""tui-trainer: train a small GPT in a terminal, watch it learn, and talk to it."""

__version__ = "0.1.0"
