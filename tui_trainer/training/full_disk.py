"""A disk without room: a training waits for it, says so, and loses no step."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tui_trainer.checkpoints import CheckpointStore, NoSpaceError
from tui_trainer.errors import UserError
from tui_trainer.events import AdviceCleared, AdviceRaised
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import EventLogWriter
from tui_trainer.runs.files import is_full_disk
from tui_trainer.runs.status import StatusFile
from tui_trainer.training.failures import FullDisk
from tui_trainer.training.interruption import ControlDesk
from tui_trainer.training.stopwatch import Stopwatch

RULE = "disk"
RETRY_SECONDS = 1.0
REMEDY = "The training waits for room and tries again each second; no step is lost."
FREE_SPACE = "Free some space there."

Result = TypeVar("Result")


class DiskSpace:
    """Waits, between two steps, until the disk takes what a run has to write.

    Training on would be of little use: neither the log nor the checkpoints of those steps could be kept.
    """

    is_patient = False
    """A start that finds no room is refused instead; from the first step on there is something to lose."""

    def __init__(
        self, run: RunDirectory, log: EventLogWriter, status: StatusFile, control: ControlDesk, stopwatch: Stopwatch
    ) -> None:
        self._run = run
        self._log = log
        self._status = status
        self._control = control
        self._stopwatch = stopwatch
        self._store = CheckpointStore(run.checkpoints)

    def is_short(self) -> bool:
        """Whether lines of the log wait for room."""
        return not self._log.flush()

    def wait_for_log(self, step: int) -> None:
        """Returns once the whole log is on the disk; see `wait_for`."""
        self.wait_for(self._flush, step)

    def wait_for(self, write: Callable[[], Result], step: int) -> Result:
        """Calls `write` until the disk has room for it, and returns its result.

        Args:
            write: raises OSError or NoSpaceError when there is no room.
            step: the last complete one.

        Raises:
            FullDisk: when somebody asks for the end meanwhile.
            NoSpaceError: at a start, or before the first checkpoint: then nothing would be lost.
            OSError: likewise, and for every other failure of the disk.
        """
        has_waited = False
        while True:
            try:
                result = write()
            except (NoSpaceError, OSError) as error:
                if isinstance(error, OSError) and not is_full_disk(error):
                    raise
                saved = self._store.pointer("last")
                if saved is None or not self.is_patient:
                    raise
                if not has_waited:
                    self._report(error, step, saved)
                has_waited = True
                self._wait(step, saved)
                continue
            if has_waited:
                self._log.append(AdviceCleared(RULE, step))
                self._status.update(trouble="")
            return result

    def _flush(self) -> None:
        if self.is_short():
            number = self._log.full.errno if self._log.full else errno.ENOSPC
            raise OSError(number, os.strerror(number or errno.ENOSPC), str(self._run.event_log))

    def _report(self, error: NoSpaceError | OSError, step: int, saved: int) -> None:
        """In the log, or, where that takes no line either, in the status."""
        what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error).splitlines()[0]
        evidence = f"{what}; step {saved:,} is saved"
        is_too_large = isinstance(error, OSError) and error.errno == errno.EFBIG
        remedy = f"{REMEDY} {'Raise the limit on file sizes (ulimit -f).' if is_too_large else FREE_SPACE}"
        self._log.append(AdviceRaised(RULE, "wrong", evidence, remedy, step, {}, "start"))
        self._status.update(phase="waiting_for_disk", trouble=f"{evidence}. {remedy}" if self.is_short() else "")

    def _wait(self, step: int, saved: int) -> None:
        with self._stopwatch.held():
            until = time.monotonic() + RETRY_SECONDS
            while time.monotonic() < until:
                if self._control.is_ending():
                    lost = "the end of the log" if saved >= step else f"step {step:,}"
                    raise FullDisk(
                        f"{self._run.path}: the disk is full: {lost} could not be saved\n"
                        f"step {saved:,} is safe; free some space, then: tui-trainer resume {self._run.path}"
                    )
                time.sleep(min(RETRY_SECONDS, 0.1))


@contextmanager
def full_disk_explained(run: RunDirectory) -> Iterator[None]:
    """Turns a disk without room, whoever met it, into a mistake that a person can mend."""
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise UserError(_explanation(run)) from error


def _explanation(run: RunDirectory) -> str:
    if (run.checkpoints / "last.json").exists():
        return (
            f"{run.path}: no space left on this disk; the last checkpoint is kept\n"
            f"free some space, then: tui-trainer resume {run.path}"
        )
    return f"{run.path}: no space left on this disk; free some, or choose another --run-dir"
