"""A run of another process, as the screen sees it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.runs.control import name_requester, send_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status


class AttachedRun:
    """Whoever trains it goes on when the screen closes. See `tui.services.Training`."""

    ends_with_screen = False
    failure = None
    """What went wrong is in its log."""
    has_moved = False
    is_moving = False

    def __init__(self, run: RunDirectory, clock: Callable[[], float] = time.time) -> None:
        """Touches nothing."""
        self.run_dir = run
        self._clock = clock

    def is_alive(self) -> bool:
        """Whether somebody trains it."""
        return judge(read_status(self.run_dir.status_file), self._clock()) in (Liveness.ALIVE, Liveness.STALE)

    def stop(self) -> None:
        """Asks whoever trains it to save and end.

        Raises:
            OSError: when this person may not write into its folder.
        """
        send_command(self.run_dir.control, "stop", name_requester())

    def detach(self, requested_by: str) -> None:
        """It is detached."""
