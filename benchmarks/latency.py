"""How soon the screen answers: to a key while it trains, and to an event on the disk.

    python benchmarks/latency.py [--keys 60] [--events 30]

Goals on two CPU cores: a key's visible change within 35 ms (95th percentile), an event within 600 ms; at most 100
bytes a second while a run is paused, when only its heartbeat changes.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

import pyte
from watched_program import WatchedProgram, endless, events_of, wait_for_step

SIGNS = "QZXJKVW"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def report(name: str, seconds: list[float], goal: str) -> None:
    middle, late = 1000 * statistics.median(seconds), 1000 * percentile(seconds, 0.95)
    print(f"{name}: median {middle:.0f} ms, 95 % {late:.0f} ms, of {len(seconds)} (goal: {goal})", flush=True)


class Cells:
    """What stands on the terminal: only cells that changed are sent, so that the bytes need not hold a whole figure."""

    def __init__(self, program: WatchedProgram) -> None:
        self._program = program
        self._screen = pyte.Screen(120, 40)
        self._stream = pyte.ByteStream(self._screen)
        self._taken = 0

    def wait_for(self, wanted: str, seconds: float = 60.0) -> float:
        """When something stood there first, in seconds of `time.perf_counter`."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for arrived, chunk in self._program.chunks(self._taken):
                self._stream.feed(chunk)
                self._taken += 1
                if self.hold(wanted):
                    return arrived
            time.sleep(0.001)
        raise TimeoutError("\n".join([f"never showed {wanted!r}:", *self._screen.display]))

    def hold(self, wanted: str) -> bool:
        return any(wanted in line for line in self._screen.display)


def measure_keys(program: WatchedProgram, count: int) -> list[float]:
    """From a letter typed into the prompt to that letter on the screen."""
    chance, seconds = random.Random(1), []
    program.press("p")
    time.sleep(1.0)
    for number in range(count):
        time.sleep(chance.uniform(0.15, 0.45))
        sign = SIGNS[number % len(SIGNS)]
        place, pressed = program.place(), time.perf_counter()
        program.press(sign)
        seconds.append(program.wait_for(sign.encode(), place) - pressed)
    program.press("\x1b")
    time.sleep(0.5)
    return seconds


def measure_charts(program: WatchedProgram, count: int) -> list[float]:
    """From `c` to the title of the next chart."""
    chance, seconds = random.Random(2), []
    for number in range(count):
        time.sleep(chance.uniform(0.2, 0.5))
        key, title = (("c", b"gap"), ("C", b"loss"))[number % 2]
        place, pressed = program.place(), time.perf_counter()
        program.press(key)
        seconds.append(program.wait_for(title, place) - pressed)
    return seconds


def measure_events(program: WatchedProgram, run: Path, count: int) -> list[float]:
    """From a line in the log of a paused run to its learning rate in the cells of the screen."""
    chance, seconds, cells = random.Random(3), [], Cells(program)
    cells.wait_for("paused")
    step = events_of(run, "StepCompleted")[-1]
    for number in range(count):
        time.sleep(chance.uniform(0.6, 1.4))
        rate = f"{chance.uniform(1.1, 9.8):.1f}e-{7 + number % 3}"
        line = json.dumps(step | {"step": step["step"] + number + 1, "learning_rate": float(rate)})
        if cells.hold(rate):
            raise ValueError(f"{rate} stands on the screen already")
        with (run / "events.jsonl").open("a") as log:
            log.write(line + "\n")
        written = time.perf_counter()
        seconds.append(cells.wait_for(rate) - written)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=60)
    parser.add_argument("--events", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        program = WatchedProgram(*endless(run))
        wait_for_step(run, 200)
        report("a letter in the prompt while it trains", measure_keys(program, arguments.keys), "≤ 35 ms")
        report("another chart while it trains", measure_charts(program, arguments.keys), "≤ 35 ms")
        program.press(" ")
        time.sleep(12.0)
        report("a letter in the prompt while it is paused", measure_keys(program, arguments.keys), "")
        start = time.perf_counter()
        time.sleep(20.0)
        idle = program.bytes_between(start, time.perf_counter()) / 20
        print(f"paused: {idle:.0f} B/s (goal: ≤ 100)", flush=True)
        report("an event on the disk", measure_events(program, run, arguments.events), "≤ 600 ms")
        program.end()


if __name__ == "__main__":
    main()
