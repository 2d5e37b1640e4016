"""A training that is followed in sentences and steered by typed lines."""

from __future__ import annotations

import time
from collections.abc import Callable

from tui_trainer.cli.plain_answer import Answers
from tui_trainer.cli.plain_commands import AT_ONCE, Commands
from tui_trainer.cli.plain_input import TypedLines
from tui_trainer.cli.watching import POLL_SECONDS, print_line
from tui_trainer.console.spoken import Narrator
from tui_trainer.console.spoken_words import duration, verbatim
from tui_trainer.events import Record, RunStarted
from tui_trainer.monitor.follower import RunFollower, open_follower
from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.tui.services import Training

SLICE_SECONDS = 0.2
"""Of a long history, between two looks at whether to leave."""
MAX_WAITING = 100
"""Lines that wait for the training to begin."""
CTRL_C = {True: "Ctrl c saves and ends.", False: "Ctrl c leaves."}
"""By whether the training ends with this program."""


class Conversation:
    """Tells what is new, and obeys what is typed."""

    def __init__(
        self, training: Training, lines: TypedLines, *, is_readonly: bool = False, first_segment: int = 0
    ) -> None:
        """Nothing is told yet.

        Args:
            training: of this process or another.
            lines: what is typed.
            is_readonly: whether nothing may be steered.
            first_segment: earlier ones were told when they happened.
        """
        self._training = training
        self._lines = lines
        self._first_segment = first_segment
        self._commands = Commands(training, Answers(), print_line, is_readonly=is_readonly)
        self._has_begun = False
        self._is_silent = False
        self._waiting: list[str] = []
        self.follower: RunFollower | None = None

    def catch_up(self, follower: RunFollower, is_over: Callable[[], bool]) -> None:
        """Takes in all that happened so far without a word, unless it is over: how it stands now is told instead."""
        while (follower.poll() or follower.fold_slice(SLICE_SECONDS)) and not is_over():
            pass
        self._connect(follower)
        self._has_begun = follower.state.started is not None
        self._narrator.note_status(time.time())

    def follow(self, is_over: Callable[[], bool]) -> None:
        """Goes on until the training has ended, or the person leaves.

        Args:
            is_over: whether to leave at once.
        """
        while True:
            is_alive = self._training.is_alive()
            self._hear()
            if not is_alive or self._commands.is_leaving or is_over():
                break
            self._listen()
        self._commands.give_up_answer()

    def _connect(self, follower: RunFollower) -> None:
        self.follower = follower
        self._narrator = Narrator(follower, self._commands.sent)
        self._commands.connect(follower, self._narrator)

    def _hear(self) -> None:
        if self.follower is None and (follower := open_follower(self._training.run_dir)):
            self._connect(follower)
        if self.follower:
            self.follower.drain(self._tell)
            self._tell_silence(self.follower)
        if self._has_begun:
            waiting, self._waiting = self._waiting, []
            for line in waiting:
                self._commands.obey(line)
        self._commands.look()

    def _tell(self, record: Record) -> None:
        if record.segment < self._first_segment:
            return
        self._has_begun |= isinstance(record.event, RunStarted)
        for line in self._narrator.sentences(record):
            print_line(line)

    def _tell_silence(self, follower: RunFollower) -> None:
        """A training elsewhere that gives no sign of life is told of once, and again when it does."""
        status, was_silent = follower.status, self._is_silent
        self._is_silent = judge(status, time.time()) is Liveness.STALE
        if status and self._is_silent and not was_silent:
            print_line(f"There has been no sign of life for {duration(time.time() - status.heartbeat)}.")
        elif was_silent and not self._is_silent:
            print_line("It is alive again.")

    def _listen(self) -> None:
        """Waits a moment for a line; the end of them is told to whoever may not have meant it."""
        had_ended, line = self._lines.has_ended, self._lines.take(POLL_SECONDS)
        if line is not None:
            self._obey(line)
        elif self._lines.has_ended and self._lines.are_typed and not had_ended:
            print_line(f"Nothing more can be typed. {CTRL_C[self._training.ends_with_screen]}")

    def _obey(self, line: str) -> None:
        word = line.strip().partition(" ")[0].lower()
        if self._has_begun or word in AT_ONCE:
            self._commands.obey(line)
        elif word == "stop" and self._training.ends_with_screen:  # nobody looks for commands yet
            self._training.stop()
        elif len(self._waiting) >= MAX_WAITING:
            print_line("The training has not begun yet, and too much waits for it already.")
        elif word:
            self._waiting.append(line)
            print_line(f'The training has not begun yet: "{verbatim(line[:40])}" waits for it.')
