"""Who writes with the checkpoints of a run."""

from __future__ import annotations

from tui_trainer.inference.writer import Writer
from tui_trainer.runs.directory import RunDirectory


def open_writer(run: RunDirectory) -> Writer:
    """A writer for a run; imports torch, so it is called in a thread.

    Raises:
        UserError: when the run has no usable configuration or tokenizer.
    """
    from tui_trainer.inference.generator import TextGenerator

    return TextGenerator(run)
