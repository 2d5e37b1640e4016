"""How a training is asked to stop, to pause and to change, and how it hears of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from tui_trainer.config import RunConfig
from tui_trainer.events import ControlApplied, ControlDiscarded, Event, RunPaused, RunResumed
from tui_trainer.runs.control import Command, take_commands

CONTROL_INTERVAL_SECONDS = 0.1
WISHES = ("set", "save", "evaluate", "sample")
"""What waits for the end of the step; a stop and a pause do not."""


class Interrupted(Exception):  # noqa: N818 - somebody asked for it
    """Ends what is going on; the last complete step stands."""


class StopRequested(Interrupted):
    """Ends the training."""


class PauseRequested(Interrupted):
    """Ends only the step or the evaluation that is going on: it comes again."""


class ProgramLink:
    """What the program that holds a training tells it. Safe to use from any thread."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._facts: SimpleQueue[Event] = SimpleQueue()
        self.is_moving = False
        self.is_stop_asked = False
        """Whether somebody wants the training to end, and not only to continue in another process."""
        self.config: RunConfig | None = None
        """What the run was trained under, once it has ended: config.toml may have been edited meanwhile."""

    def stop(self) -> None:
        """Asks for the end; asking again changes nothing."""
        self.is_stop_asked = True
        self._stop.set()

    def move(self) -> None:
        """Asks for the end because another process is to go on with the run."""
        self.is_moving = True
        self._stop.set()

    def is_stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stop.is_set()

    def report(self, fact: Event) -> None:
        """Something that happened to the program, for the log of the run."""
        self._facts.put(fact)

    def take_facts(self) -> list[Event]:
        """What was reported since the last call."""
        facts = []
        while True:
            try:
                facts.append(self._facts.get_nowait())
            except Empty:
                return facts

    def wait(self, seconds: float) -> None:
        """Sleeps, unless the end is asked for."""
        self._stop.wait(seconds)


class ControlDesk:
    """Looks into `control/` a few times a second, and answers each command that lies there.

    A stop and a pause may come in the middle of a step. Whatever else is wished waits for its end: `take_wishes`.
    """

    def __init__(self, folder: Path, link: ProgramLink, emit: Callable[[Event], None]) -> None:
        """Discards the commands that were meant for an earlier process of this run, and names them in the log."""
        self._folder = folder
        self._link = link
        self._emit = emit
        self._looked_at = 0.0
        self._wishes: deque[Command] = deque()
        self._acknowledged: set[str] = set()
        self._is_stopping = False
        self._is_waiting = False
        self._is_closed = False
        self.is_paused = False
        self.step = 0
        for command in take_commands(folder):
            self.discard(command, "it was meant for an earlier start")

    def check(self) -> None:
        """Cheap enough for each micro-batch.

        Raises:
            StopRequested: when a stop was asked for, here or by the program.
            PauseRequested: when a pause was asked for and has not begun.
        """
        if self.is_interrupted():
            raise StopRequested if self._is_stopping else PauseRequested

    def is_interrupted(self) -> bool:
        """Whether what is going on is to end at once."""
        if time.monotonic() - self._looked_at >= CONTROL_INTERVAL_SECONDS:
            self._look()
        self._is_stopping = self._link.is_stopping()
        return self._is_stopping or (self.is_paused and not self._is_waiting)

    def is_ending(self) -> bool:
        """Whether somebody asked for the end; a pause or a move to another process can wait."""
        self.is_interrupted()
        return self._link.is_stop_asked

    def check_in_place(self) -> None:
        """The same for work that cannot be taken up again: a pause is spent here.

        Raises:
            StopRequested: when a stop was asked for.
        """
        try:
            self.check()
        except PauseRequested:
            self.wait_while_paused(lambda: None)

    def wait_while_paused(self, meet_wishes: Callable[[], None]) -> None:
        """Spends a pause.

        Args:
            meet_wishes: called a few times a second.

        Raises:
            StopRequested: when a stop was asked for meanwhile.
        """
        started, self._is_waiting = time.monotonic(), True
        self._emit(RunPaused(self.step))
        try:
            while self.is_paused:
                self.check()
                meet_wishes()
                self._link.wait(CONTROL_INTERVAL_SECONDS)
        finally:
            self._is_waiting = False
        self._emit(RunResumed(self.step, round(time.monotonic() - started, 3)))

    def next_wish(self) -> Command | None:
        """The oldest wish that is not met. It stays until `drop_wish`, so that an interruption loses none."""
        self._look()
        return self._wishes[0] if self._wishes else None

    def drop_wish(self) -> None:
        """The oldest wish is met, or answered with a no."""
        self._wishes.popleft()

    def acknowledge(self, command: Command) -> None:
        """Says that a command takes effect; once, however often it is taken up again."""
        if command.id not in self._acknowledged:
            self._acknowledged.add(command.id)
            self._emit(ControlApplied(command.id, command.action, command.value, command.requested_by, self.step))

    def discard(self, command: Command, reason: str) -> None:
        """Says that a command had no effect, and why."""
        self._emit(ControlDiscarded(command.id, command.action, command.value, command.requested_by, reason))

    def close(self) -> None:
        """The run is over: answers what still waits, so that nobody waits for it; what comes later stays."""
        self._is_closed = True
        for command in [*self._wishes, *take_commands(self._folder)]:
            if command.id not in self._acknowledged:
                self.discard(command, "the run had ended")

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        for fact in self._link.take_facts():
            self._emit(fact)
        for command in take_commands(self._folder) if not (self._is_stopping or self._is_closed) else ():
            self._receive(command)

    def _receive(self, command: Command) -> None:
        is_pause = command.action == "pause"
        if command.action == "stop":
            self.acknowledge(command)
            self._link.stop()
        elif command.action in ("pause", "resume") and is_pause == self.is_paused:
            self.discard(command, "it is paused already" if is_pause else "it is not paused")
        elif command.action in ("pause", "resume"):
            self.is_paused = is_pause
            self.acknowledge(command)
        elif command.action in WISHES:
            self._wishes.append(command)
        else:
            self.discard(command, "nobody knows this action")
