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

    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def check(self) -> None:
        """Raises StopRequested when a stop was asked for."""
        if self.is_set():
            raise StopRequested


class ControlDesk:
    """Looks into `control/` a few times a second and applies what lies there.

    A stop may come in the middle of a step. A change of a setting waits for the next one: `take_changes`.
    """

    def __init__(self, folder: Path, switch: StopSwitch, emit: Callable[[Event], None]) -> None:
        """Discards the commands that were meant for an earlier process of this run, and names them in the log."""
        self._folder = folder
        self._switch = switch
        self._emit = emit
        self._looked_at = 0.0
        self._changes: list[Command] = []
        self.step = 0
        for command in take_commands(folder):
            self.discard(command, "it was meant for an earlier start")

    def check(self) -> None:
        """Cheap enough for each micro-batch.

        Raises:
            StopRequested: when a stop was asked for, here or by the switch.
        """
        self._look()
        self._switch.check()

    def is_stopping(self) -> bool:
        """Whether a stop was asked for, here or by the switch."""
        self._look()
        return self._switch.is_set()

    def take_changes(self) -> list[Command]:
        """The settings that somebody wants changed, oldest first; each is to be answered."""
        self._look()
        changes, self._changes = self._changes, []
        return changes

    def discard(self, command: Command, reason: str) -> None:
        """Says that a command had no effect, and why."""
        self._emit(ControlDiscarded(command.id, command.action, command.value, command.requested_by, reason))

    def close(self) -> None:
        """The run is over: answers what still waits, so that nobody waits for it."""
        for command in [*self._changes, *take_commands(self._folder)]:
            self.discard(command, "the run had ended")

    def _look(self) -> None:
        now = time.monotonic()
        if self._switch.is_set() or now - self._looked_at < CONTROL_INTERVAL_SECONDS:
            return
        self._looked_at = now
        for command in take_commands(self._folder):
            if command.action == "stop":
                self._emit(ControlApplied(command.id, "stop", command.value, command.requested_by, self.step))
                self._switch.set()
            elif command.action == "set":
                self._changes.append(command)
            else:
                self.discard(command, "nobody knows this action")
