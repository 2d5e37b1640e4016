"""The command line: the only room that sees every other. Heavy imports wait until a command needs them."""

from tui_trainer.cli.commands import main

__all__ = ["main"]
