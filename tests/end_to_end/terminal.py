"""A real terminal for the real program: a pseudo-terminal, and a screen that understands what is written to it."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

SHORT_RUN = ("--set", "training.max_steps=120", "--set", "training.eval_interval=40", "--set", "model.n_embd=32")
ENDLESS_RUN = ("--set", "training.max_steps=1000000", "--set", "training.eval_interval=100", "--set", "model.n_embd=32")


class Terminal:
    """The program in a pseudo-terminal of some size."""

    def __init__(
        self,
        *arguments: str,
        size: tuple[int, int] = (120, 40),
        program: Sequence[str] | None = None,
        **environment: str,
    ) -> None:
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.output = b""
        command = list(program or (sys.executable, "-m", "tui_trainer"))
        self.process = pexpect.spawn(
            command[0],
            [*command[1:], *arguments],
            dimensions=(size[1], size[0]),
            env={**os.environ, "TERM": "xterm-256color", "PYTHONUNBUFFERED": "1", **environment},
            timeout=60,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.close(force=True)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read(self, seconds: float = 0.1) -> None:
        """Takes in what the program writes for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                data = self.process.read_nonblocking(1 << 16, timeout=0.05)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                return
            self.output += data
            # pyte takes kitty's "\x1b[>13u" for text of its own; Textual sends it only at start and end.
            self._stream.feed(data)

    def wait_for(self, wanted: str | Callable[[str], bool], seconds: float = 60) -> str:
        """Reads until the screen shows something; fails with the screen when it never does."""
        is_there = wanted if callable(wanted) else lambda text: wanted in text
        until = time.monotonic() + seconds
        while not is_there(self.text):
            if time.monotonic() > until or (not self.process.isalive() and not self._has_more()):
                raise AssertionError(f"never showed {wanted!r}; the screen:\n{self.text}\n{self.output[-2000:]!r}")
            self.read()
        return self.text

    def press(self, *keys: str) -> None:
        for key in keys:
            self.process.send(key)
            self.read(0.1)

    def wait_for_exit(self, seconds: float = 30) -> int:
        """The exit code; a signal that killed the program counts as −signal."""
        until = time.monotonic() + seconds
        while self.process.isalive():
            assert time.monotonic() < until, f"did not end; the screen:\n{self.text}"
            self.read()
        self.read()
        return self.process.exitstatus if self.process.exitstatus is not None else -self.process.signalstatus

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def hang_up(self) -> None:
        """The link drops: the terminal is gone, and the kernel says so to the program."""
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, self.process.child_fd)  # closes the terminal and keeps the number taken
        os.close(null)

    def _has_more(self) -> bool:
        before = len(self.output)
        self.read()
        return len(self.output) > before


def is_stepping(text: str) -> bool:
    """Whether the screen shows a training that has made a step."""
    return "● training" in text and re.search(r"step +[1-9]", text) is not None


def newest_run(root: Path) -> Path:
    return max(root.glob("*/run.json"), key=lambda path: path.stat().st_mtime).parent


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.05)
