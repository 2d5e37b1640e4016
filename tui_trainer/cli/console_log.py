"""While the screen is up, what libraries print goes to a file: on the screen it would be dirt."""

from __future__ import annotations

import os
import sys
import tempfile
from types import TracebackType
from typing import Self

from tui_trainer.monitor.safe_text import safe_text
from tui_trainer.runs.directory import RunDirectory

OUTPUTS = (1, 2)


class ConsoleLog:
    """Keeps the terminal on a descriptor of its own, `screen`, while in the `with` block.

    Standard output and error go to a temporary file, then to `console.log` of the run that starts.
    """

    screen = 2
    is_terminal_gone = False
    """After a hang-up the outputs stay in the log: there is nothing to give them back to."""

    def __enter__(self) -> Self:
        sys.stdout.flush()
        sys.stderr.flush()
        self._before = [os.dup(descriptor) for descriptor in OUTPUTS]
        self.screen = os.dup(2)
        self._early = tempfile.TemporaryFile()
        self._point_at(self._early.fileno())
        return self

    def move_to(self, run: RunDirectory) -> None:
        """From now on, and from before, everything is in this run's `console.log`."""
        log = os.open(run.console_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._early.seek(0)
        os.write(log, self._early.read())
        self._early.seek(0)
        self._early.truncate(0)
        self._point_at(log)
        os.close(log)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, before in zip(OUTPUTS, self._before, strict=True):
            if not self.is_terminal_gone:
                os.dup2(before, descriptor)
            os.close(before)
        os.close(self.screen)
        self._early.seek(0)
        if early := self._early.read().decode(errors="replace"):  # no run took it
            sys.stderr.write(safe_text(early))
        self._early.close()

    @staticmethod
    def _point_at(target: int) -> None:
        for descriptor in OUTPUTS:
            os.dup2(target, descriptor)
