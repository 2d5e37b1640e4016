"""How long until the picker is on the terminal, and until a training started from it makes its first step.

    python benchmarks/first_paint.py [--rounds 7]

Goal on two CPU cores: the picker within 0.5 s.
"""

from __future__ import annotations

import argparse
import os
import pty
import statistics
import sys
import tempfile
import time
from pathlib import Path


def until_shown(terminal: int, wanted: bytes, seconds: float = 60) -> None:
    seen, until = b"", time.monotonic() + seconds
    while wanted not in seen and time.monotonic() < until:
        seen = (seen + os.read(terminal, 1 << 16))[-20_000:]


def measure(runs: str) -> tuple[float, float]:
    """Seconds to the picker, and from Enter to the first step in the log."""
    started = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "TUI_TRAINER_RUNS": runs}
        os.execv(sys.executable, [sys.executable, "-m", "tui_trainer", "--set", "training.max_steps=20"])
    until_shown(terminal, b"parameters")
    painted = time.monotonic() - started
    os.write(terminal, b"\r")
    entered = time.monotonic()
    while not any(b"StepCompleted" in log.read_bytes() for log in Path(runs).glob("*/events.jsonl")):
        os.read(terminal, 1 << 16)
    stepped = time.monotonic() - entered
    until_shown(terminal, b"completed")
    os.write(terminal, b"q")
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:
        pass
    os.waitpid(pid, 0)
    return painted, stepped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    paints, steps = [], []
    for _ in range(parser.parse_args().rounds):
        with tempfile.TemporaryDirectory() as runs:
            painted, stepped = measure(runs)
        paints.append(painted)
        steps.append(stepped)
    print(f"picker painted after {statistics.median(paints):.2f} s (median of {len(paints)}; goal: at most 0.5)")
    print(f"first step {statistics.median(steps):.2f} s after Enter")


if __name__ == "__main__":
    main()
