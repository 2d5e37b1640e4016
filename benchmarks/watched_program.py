"""The program in a pseudo-terminal, read by a thread that notes when each byte came."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any


class WatchedProgram:
    """`tui-trainer` with some arguments in a terminal of some size."""

    def __init__(self, *arguments: str, columns: int = 120, rows: int = 40, environment: dict[str, str] | None = None):
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "TUI_TRAINER_THEME": "dark", **(environment or {})}
            os.execv(sys.executable, [sys.executable, "-m", "tui_trainer", *arguments])
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.started = time.perf_counter()
        self._lock = threading.Lock()
        self._output = bytearray()
        self._arrivals: list[tuple[float, int]] = []
        self._is_reading = threading.Event()
        self._is_reading.set()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            self._is_reading.wait()
            try:
                data = os.read(self._terminal, 1 << 16)
            except OSError:
                return
            if not data:
                return
            with self._lock:
                self._output += data
                self._arrivals.append((time.perf_counter(), len(data)))

    def stop_reading(self) -> None:
        """From now on nobody looks at the terminal."""
        self._is_reading.clear()

    def read_on(self) -> None:
        self._is_reading.set()

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def place(self) -> int:
        """How much was shown so far."""
        with self._lock:
            return len(self._output)

    def chunks(self, first: int) -> list[tuple[float, bytes]]:
        """When each piece of the output came, and the piece, from the so-manieth on."""
        with self._lock:
            start = sum(size for _, size in self._arrivals[:first])
            pieces = []
            for arrived, size in self._arrivals[first:]:
                pieces.append((arrived, bytes(self._output[start : start + size])))
                start += size
        return pieces

    def wait_for(self, wanted: bytes, since: int = 0, seconds: float = 60.0) -> float:
        """When something was shown, in seconds of `time.perf_counter`."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            with self._lock:
                found = self._output.find(wanted, since)
                if found >= 0:
                    shown = 0
                    for arrived, size in self._arrivals:
                        shown += size
                        if shown >= found + len(wanted):
                            return arrived
            time.sleep(0.001)
        raise TimeoutError(f"never showed {wanted!r}: {bytes(self._output[-300:])!r}")

    def last_arrival(self) -> float:
        """When the newest byte came."""
        with self._lock:
            return self._arrivals[-1][0] if self._arrivals else self.started

    def bytes_between(self, start: float, end: float) -> int:
        with self._lock:
            return sum(size for arrived, size in self._arrivals if start <= arrived < end)

    def memory_bytes(self) -> int:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.read_on()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        os.waitpid(self.pid, 0)


def events_of(run: Path, kind: str) -> list[dict[str, Any]]:
    """What the log of a run holds of a kind."""
    try:
        lines = (run / "events.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def wait_for_step(run: Path, step: int, seconds: float = 120.0) -> None:
    """Until a run has made so many steps."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        steps = events_of(run, "StepCompleted")
        if steps and steps[-1]["step"] >= step:
            return
        time.sleep(0.2)
    raise TimeoutError(f"step {step} never came")


def step_rate(run: Path, first_time: float, last_time: float) -> float:
    """Steps a second between two points of wall-clock time."""
    steps = [event for event in events_of(run, "StepCompleted") if first_time <= event["time"] <= last_time]
    return (len(steps) - 1) / (steps[-1]["time"] - steps[0]["time"])


def endless(run: Path) -> list[str]:
    """The arguments of a quick-test that does not end."""
    settings = ("training.max_steps=1000000", "training.eval_interval=1000000", "training.epochs=10000")
    options = [part for setting in settings for part in ("--set", setting)]
    return ["train", "quick-test", "--run-dir", str(run), *options]
