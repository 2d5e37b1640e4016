"""Lines that somebody types while the program does something else."""

from __future__ import annotations

import os
import select
import threading
import time
from queue import Empty, Queue

MAX_LINE_BYTES = 10_000
WAITING_LINES = 100
"""Who writes faster than lines are obeyed has to wait."""
READ_BYTES = 4096
BACKGROUND_SECONDS = 0.5


class TypedLines:
    """The lines of a descriptor, read by a thread that neither holds the program up at its end nor spins."""

    def __init__(self, descriptor: int | None) -> None:
        """Begins to read.

        Args:
            descriptor: to be read without a buffer of Python's, which a daemon thread would leave locked; None:
                there is nothing to read.
        """
        self._lines: Queue[str | None] = Queue(WAITING_LINES)
        self.has_ended = False
        """Whether the last line was taken and no other will come."""
        self.are_typed = descriptor is not None and os.isatty(descriptor)
        """Whether somebody sits there, who did not mean to end them."""
        if descriptor is None:
            self._lines.put(None)
        else:
            threading.Thread(target=self._read, args=(descriptor,), name="typed lines", daemon=True).start()

    def take(self, seconds: float) -> str | None:
        """The next line, or None when none comes within so many seconds."""
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            return None
        self.has_ended = line is None
        return line

    def _read(self, descriptor: int) -> None:
        rest = b""
        while chunk := _next_bytes(descriptor):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._put(line)
            rest = rest[:MAX_LINE_BYTES]
        if rest:
            self._put(rest)
        self._lines.put(None)

    def _put(self, line: bytes) -> None:
        self._lines.put(line[:MAX_LINE_BYTES].decode(errors="replace").rstrip("\r"))


def _next_bytes(descriptor: int) -> bytes:
    """What was typed, as soon as there is something; nothing at the end, or when the terminal is gone."""
    try:
        while True:
            select.select([descriptor], [], [])
            # A job in the background that reads its terminal is stopped, and its training with it.
            if not _is_in_background(descriptor):
                return os.read(descriptor, READ_BYTES)
            time.sleep(BACKGROUND_SECONDS)
    except (OSError, ValueError):
        return b""


def _is_in_background(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:  # no terminal
        return False
