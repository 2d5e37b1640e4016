"""Signals end a run in order: save, restore the terminal, leave with 128 + the signal's number.

Python's own handlers run only between bytecodes of the main thread, which may sit in a blocked write to a dead
terminal. So the handlers do nothing; the wake-up descriptor carries the signal's number to a thread of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

ENDING_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
INSISTING_SECONDS = 3.0
LEAVING_SECONDS = 5.0
EXIT_BY_GUARD = 75


class SignalWatcher:
    """Watches for the signals that end the program while in the `with` block.

    The first one asks the training to stop, waits for its save, and then has the screen leave. Should the screen not
    be gone five seconds later, for instance because nobody reads the terminal, the guard ends the process. A second
    SIGINT within three seconds ends it at once, with the checkpoints that are there. A hang-up only ends the program
    when there is nothing that goes on without a terminal.
    """

    def __init__(
        self,
        stop: Callable[[], None],
        wait_for_save: Callable[[], None],
        leave: Callable[[], None],
        outlive_terminal: Callable[[], bool],
    ) -> None:
        """Remembers what to do.

        Args:
            stop: asks the training to save and end; returns at once.
            wait_for_save: returns when the training has ended.
            leave: closes the screen; returns at once.
            outlive_terminal: told of a hang-up, again at each; says whether the program goes on without a terminal.
        """
        self._stop = stop
        self._wait_for_save = wait_for_save
        self._leave = leave
        self._outlive_terminal = outlive_terminal
        self._first_at: float | None = None
        self._has_left = threading.Event()
        self.received: int | None = None
        """The number of the first signal that ends the program."""

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)  # noqa: FBT003 - the socket module knows no other form
        # SIGHUP stays ignored where the shell or nohup had it ignored: that person asked for the run to go on.
        watched = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, _do_nothing) for number in watched}
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._has_left.set()
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._writer.close()

    def _watch(self) -> None:
        while numbers := self._reader.recv(64):
            for number in numbers:
                if number in ENDING_SIGNALS:
                    self._receive(number)
        self._reader.close()

    def _receive(self, number: int) -> None:
        now = time.monotonic()
        if number == signal.SIGHUP and self._outlive_terminal():
            return
        if self._first_at is None:
            self.received, self._first_at = number, now
            threading.Thread(target=self._end, name="ending", daemon=True).start()
        elif number == signal.SIGINT and now - self._first_at < INSISTING_SECONDS:
            self._leave()
            self._has_left.wait(1.0)
            os._exit(128 + number)

    def _end(self) -> None:
        self._stop()
        self._wait_for_save()
        self._leave()
        if not self._has_left.wait(LEAVING_SECONDS):
            os._exit(EXIT_BY_GUARD)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Only being there counts: it takes the place of the default action."""
