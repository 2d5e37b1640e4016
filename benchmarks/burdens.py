"""What a terminal that nobody reads, and a model that speaks, cost a training on the screen.

    python benchmarks/burdens.py [--seconds 60] [--rounds 2]

Goals on two CPU cores: step rate with an unread terminal ≥ 0.95 of before and after, beside a paced generation ≥ 0.6,
in the training's own process and from an attached screen.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from watched_program import WatchedProgram, endless, step_rate, wait_for_step

QUIET_SECONDS = 15.0
SETTLING_SECONDS = 2.0


def rate_during(run: Path, seconds: float) -> float:
    time.sleep(SETTLING_SECONDS)
    start = time.time()
    time.sleep(seconds)
    return step_rate(run, start, time.time())


def measure(run: Path, seconds: float, begin: Callable[[], None], finish: Callable[[], None]) -> float:
    """The step rate under a burden ÷ the mean of the rates before and after it."""
    before = rate_during(run, QUIET_SECONDS)
    begin()
    burdened = rate_during(run, seconds)
    finish()
    after = rate_during(run, QUIET_SECONDS)
    print(f"  before {before:.1f}, burdened {burdened:.1f}, after {after:.1f} steps/s", flush=True)
    return 2 * burdened / (before + after)


def speak(program: WatchedProgram) -> None:
    """A long answer; the length stands in the fourth setting."""
    program.press("p\t\t\t\t\x1b[F\x08\x08\x08\x08" + "4000\r")


def be_silent(program: WatchedProgram) -> None:
    program.press("\x1b")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        program = WatchedProgram(*endless(run))
        wait_for_step(run, 100)
        ratios: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            unread = measure(run, arguments.seconds, program.stop_reading, program.read_on)
            ratios.setdefault("an unread terminal (goal: ≥ 0.95)", []).append(unread)
            spoken = measure(run, QUIET_SECONDS, lambda: speak(program), lambda: be_silent(program))
            ratios.setdefault("a generation in the same process (goal: ≥ 0.6)", []).append(spoken)
            watcher = WatchedProgram("attach", str(run))
            watcher.wait_for(b"training")
            time.sleep(3.0)
            watched = measure(run, QUIET_SECONDS, lambda w=watcher: speak(w), lambda w=watcher: be_silent(w))  # type: ignore[misc]
            ratios.setdefault("a generation from an attached screen (goal: ≥ 0.6)", []).append(watched)
            watcher.end()
        for name, found in ratios.items():
            print(f"step rate beside {name}: {statistics.median(found):.2f}", flush=True)
        program.end()


if __name__ == "__main__":
    main()
