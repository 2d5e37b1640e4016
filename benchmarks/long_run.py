"""What a run of a million steps costs on the screen: first frame, whole history, keys meanwhile, and memory.

    python benchmarks/long_run.py [--steps 1000000] [--rounds 3]

Goals on two CPU cores: a frame of its end within 1 s, its whole history within 5 s, 64 MB above a short run's screen.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from history import write_log
from watched_program import WatchedProgram

from tui_trainer.config import parse_config, to_toml

SILENCE_SECONDS = 1.5
ANSWERS = (("y", b"log"), ("a", b"smoothed"))
"""Keys, and what the border of the chart then says."""


def make_run(path: Path, steps: int) -> None:
    path.mkdir()
    (path / "checkpoints").mkdir()
    (path / "config.toml").write_text(to_toml(parse_config({"training": {"max_steps": steps}}, "long")))
    (path / "run.json").write_text(json.dumps({"id": "long", "preset": "long"}))
    (path / "status.json").write_text(json.dumps({"state": "finished", "step": steps, "max_steps": steps}))
    write_log(path / "events.jsonl", steps)


def until_silent(program: WatchedProgram) -> float:
    """When the last byte came before a silence."""
    while True:
        last = program.last_arrival()
        if time.perf_counter() - last > SILENCE_SECONDS:
            return last
        time.sleep(0.05)


def measure(run: Path) -> tuple[float, float, list[float], int]:
    """Seconds to the first figures and to the last change, to each key's answer meanwhile, and the memory."""
    program = WatchedProgram("attach", str(run))
    first = program.wait_for(b"tokens seen") - program.started
    answers = []
    for key, words in ANSWERS:
        time.sleep(0.3)
        place, pressed = program.place(), time.perf_counter()
        program.press(key)
        answers.append(program.wait_for(words, place) - pressed)
    whole = until_silent(program) - program.started
    memory = program.memory_bytes()
    program.press("q")
    time.sleep(0.5)
    program.end()
    return first, whole, answers, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder) / "short", Path(folder) / "long"
        make_run(short, 200)
        make_run(long, arguments.steps)
        firsts, wholes, answers, memories = [], [], [], []
        for _ in range(arguments.rounds):
            _, _, _, little = measure(short)
            first, whole, answered, much = measure(long)
            firsts.append(first)
            wholes.append(whole)
            answers += answered
            memories.append((much - little) / 1e6)
        print(f"first frame after {statistics.median(firsts):.2f} s (goal: ≤ 1)")
        print(f"whole history after {statistics.median(wholes):.2f} s (goal: ≤ 5)")
        print(f"a key meanwhile: median {1000 * statistics.median(answers):.0f} ms, most {1000 * max(answers):.0f} ms")
        print(f"memory above a short run's screen: {statistics.median(memories):.0f} MB (goal: ≤ 64)")


if __name__ == "__main__":
    main()
