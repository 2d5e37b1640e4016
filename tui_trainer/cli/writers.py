"""Who writes with the checkpoints of a run, and beside whom."""

from __future__ import annotations

import math
import time
from contextlib import suppress
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


class TrainingWatch:
    """Whether this machine trains something; looked up once a second, for there may be many runs."""

    def __init__(self, place: RunDirectory | Path) -> None:
        """Looks at nothing yet.

        Args:
            place: what is written with; a run that is in no list counts, too.
        """
        self._place = place
        self._looked_at = -math.inf
        self._is_training = False

    def is_training(self) -> bool:
        """What was seen last stands when nothing can be seen."""
        if time.monotonic() - self._looked_at > 1:
            self._looked_at = time.monotonic()
            with suppress(OSError):
                self._is_training = is_training_beside(self._place)
        return self._is_training


def is_training_beside(place: RunDirectory | Path) -> bool:
    """Whether this machine trains something now."""
    return bool(find_trainings_beside(place))


def find_trainings_beside(place: RunDirectory | Path) -> list[RunDirectory]:
    """The runs that this machine trains now: one's own, if it is a run, and all that are listed."""
    own = [place] if isinstance(place, RunDirectory) else []
    return find_busy_here([*own, *list_runs()], time.time())
