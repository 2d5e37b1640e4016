"""A training of this process, which may become one of another."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress

from tui_trainer.cli.handover import LOOK_SECONDS, end_moving, hand_over, restore_config
from tui_trainer.events import ControlDiscarded
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import Status, read_status
from tui_trainer.training.launch import NewRun, ResumedRun, TrainingHandle, launch


class OwnTraining:
    """What the screen holds of a training that runs in a thread of this process. See `tui.services.Training`."""

    ends_with_screen = True

    def __init__(
        self,
        request: NewRun | ResumedRun,
        on_directory: Callable[[RunDirectory], None],
        hand_over: Callable[..., str | None] = hand_over,
    ) -> None:
        """Launches it.

        Args:
            request: what to train.
            on_directory: told the run directory as soon as there is one.
            hand_over: has another process go on with a saved run; returns why not, when it cannot.
        """
        self._on_directory = on_directory
        self._hand_over = hand_over
        self._handle: TrainingHandle = launch(request, on_directory)
        self._mover: threading.Thread | None = None
        self._is_stopping = False
        self.has_moved = False

    @property
    def run_dir(self) -> RunDirectory | None:
        return self._handle.run_dir

    @property
    def failure(self) -> str | None:
        return self._handle.failure

    @property
    def exit_code(self) -> int:
        return self._handle.exit_code

    @property
    def is_moving(self) -> bool:
        """Whether it is being handed over."""
        return self._mover is not None and self._mover.is_alive()

    def is_alive(self) -> bool:
        """Whether this process still trains it, saves it or hands it over."""
        return self._handle.is_alive() or self.is_moving

    def stop(self) -> None:
        """Asks it to save and end; one that is being handed over is left to the other process."""
        self._is_stopping = True
        self._handle.stop()

    def detach(self, requested_by: str) -> None:
        """Hands it over to a process of its own; where that fails, it goes on here. Returns at once."""
        if not self.is_moving:
            # Not a daemon: in the middle of it nobody would train the run.
            self._mover = threading.Thread(target=self._move, args=(requested_by,), name="handover")
            self._mover.start()

    def lose_terminal(self) -> None:
        """Has the log say so."""
        self._handle.lose_terminal()

    def join(self) -> None:
        """Waits for the end of it, or of the handover."""
        while self.is_alive():
            self._handle.join()
            if self._mover:
                self._mover.join()

    def _move(self, requested_by: str) -> None:
        self._wait_until_ready()
        self._handle.move()
        self._handle.join()
        run = self._handle.run_dir
        status = read_status(run.status_file) if run else None
        if run is None or status is None or status.state != "moving":
            return  # it came to an end of its own first
        failure = self._hand_over(run, is_paused=status.is_paused)
        self.has_moved = failure is None
        if failure:
            self._take_back(run, status, ControlDiscarded(uuid.uuid4().hex, "detach", None, requested_by, failure))

    def _wait_until_ready(self) -> None:
        """What is not saved yet cannot be handed over."""
        while self._handle.is_alive() and not self._is_running():
            self._handle.join(LOOK_SECONDS)

    def _is_running(self) -> bool:
        status = read_status(self._handle.run_dir.status_file) if self._handle.run_dir else None
        return status is not None and status.state == "running" and status.pid == os.getpid()

    def _take_back(self, run: RunDirectory, status: Status, why: ControlDiscarded) -> None:
        """Nobody else could: it goes on in this process, or ends here when that is wanted. The log says why."""
        if self._is_stopping:
            end_moving(run, status, why)
            return
        device = str(run.describe().get("device") or "auto")
        if self._handle.config:
            with suppress(OSError):  # a full disk: the edit is then refused, and the run counts as failed
                restore_config(run, self._handle.config)
        request = ResumedRun(run, self._handle.config or run.read_config(), device, is_paused=status.is_paused)
        self._handle = launch(request, self._on_directory)
        self._handle.report(why)
        if self._is_stopping:  # it was said to the handle before
            self._handle.stop()
