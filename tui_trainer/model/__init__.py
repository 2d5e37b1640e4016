"""The network."""

from tui_trainer.model.gpt import GPT

__all__ = ["GPT"]
