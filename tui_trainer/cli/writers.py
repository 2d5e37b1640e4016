"""Who writes with the checkpoints of a run, and beside whom."""

from __future__ import annotations

import time
from pathlib import Path

from tui_trainer.inference.writer import Writer
from tui_trainer.monitor.run_list import find_busy_here
from tui_trainer.runs.catalogue import list_runs
from tui_trainer.runs.directory import RunDirectory


def open_writer(run: RunDirectory) -> Writer:
    """A writer for a run; imports torch, so it is called in a thread.

    Raises:
        UserError: when the run has no usable configuration or tokenizer.
    """
    from tui_trainer.inference.generator import TextGenerator

    return TextGenerator(run)


def find_trainings_beside(place: RunDirectory | Path) -> list[RunDirectory]:
    """The runs that this machine trains now: one's own, if it is a run, and all that are listed."""
    own = [place] if isinstance(place, RunDirectory) else []
    return find_busy_here([*own, *list_runs()], time.time())
