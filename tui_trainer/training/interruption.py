"""How a training is asked to stop, and how it hears of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from tui_trainer.events import ControlApplied, ControlDiscarded, Event
from tui_trainer.runs.control import Command, take_commands

CONTROL_INTERVAL_SECONDS = 0.1


class StopRequested(Exception):  # noqa: N818 - it is a request, not an error
    """Ends the training at the last complete step."""


class StopSwitch:
    """A stop from inside the program: a key, a signal. Safe to use from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Asks for the stop; asking again changes nothing."""
        self._event.set()

    def check(self) -> None:
        """Raises StopRequested when a stop was asked for."""
        if self._event.is_set():
            raise StopRequested


class ControlDesk:
    """Looks into `control/` a few times a second and applies what lies there."""

    def __init__(self, folder: Path, switch: StopSwitch, emit: Callable[[Event], None], step: int) -> None:
        """Discards the commands that were meant for an earlier process of this run, and names them in the log."""
        self._folder = folder
        self._switch = switch
        self._emit = emit
        self._looked_at = 0.0
        self.step = step
        for command in take_commands(folder):
            self._discard(command)

    def check(self) -> None:
        """Cheap enough for each micro-batch.

        Raises:
            StopRequested: when a stop was asked for, here or by the switch.
        """
        self._switch.check()
        now = time.monotonic()
        if now - self._looked_at < CONTROL_INTERVAL_SECONDS:
            return
        self._looked_at = now
        for command in take_commands(self._folder):
            if command.action == "stop":
                self._emit(ControlApplied(command.id, "stop", command.value, command.requested_by, self.step))
                self._switch.set()
            else:
                self._discard(command)
        self._switch.check()

    def _discard(self, command: Command) -> None:
        self._emit(ControlDiscarded(command.id, command.action, command.value, command.requested_by))
