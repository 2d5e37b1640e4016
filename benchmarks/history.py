"""What a long run costs to open: seconds to the first state and to the whole history, and the memory they take.

    python benchmarks/history.py [--steps 1000000] [--rounds 3] [--slice-ms 10]

Writes the log of a run with evaluations, checkpoints, hardware samples and two resumes, then opens it in a fresh
process each round, and prints the median. Memory is that above a process that only imported the same modules.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from tui_trainer.config import parse_config, to_toml
from tui_trainer.event_codec import decode, encode
from tui_trainer.events import (
    CheckpointSaved,
    EvaluationCompleted,
    Event,
    HardwareSampled,
    PhaseStarted,
    Record,
    RunFinished,
    RunStarted,
    StepCompleted,
)
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.history import Series
from tui_trainer.runs.directory import RunDirectory

EVALUATION_STEPS, HARDWARE_STEPS = 1000, 500
STEP_SECONDS, TOKENS_PER_STEP = 0.0137, 256
START = 1_795_453_688.0


def write_log(path: Path, steps: int) -> None:
    """A run of `steps` logged steps, two resumes among them, each of which repeats some."""
    chance = random.Random(7)
    started = RunStarted(
        run_id="long", parameter_count=536_064, max_steps=steps, tokens_per_step=TOKENS_PER_STEP,
        steps_per_epoch=steps / 3, train_tokens=85_000_000, val_tokens=9_000_000, vocab_size=1024, world_size=1,
        threads=2, device="cpu", precision="fp32",
    )  # fmt: skip
    stops = [steps // 3 + 400, 2 * steps // 3 + 300, steps + 1]
    segment, step = 0, 0
    with path.open("wb") as log:

        def note(event: Event) -> None:
            log.write(encode(Record(START + step * STEP_SECONDS, segment, event)))

        note(started)
        for _ in range(steps):
            if step == stops[segment]:
                note(RunFinished("stopped", step, step * STEP_SECONDS))
                segment, step = segment + 1, step - step % EVALUATION_STEPS
                note(replace(started, resumed_from_step=step))
            step += 1
            log.write(step_line(step, segment, steps, chance))
            for event in events_after(step, chance):
                note(event)


def step_line(step: int, segment: int, steps: int, chance: random.Random) -> bytes:
    """As `encode` writes it, in a tenth of the time."""
    loss = 2.0 + 5.0 * math.exp(-step / 50_000) + chance.gauss(0, 0.1) + (20.0 if step % 99_991 == 0 else 0.0)
    return (
        f'{{"v":1,"time":{round(START + step * STEP_SECONDS, 3)},"segment":{segment},"event":"StepCompleted",'
        f'"step":{step},"epoch":{1 + 3 * step // steps},"tokens_seen":{step * TOKENS_PER_STEP},'
        f'"elapsed_seconds":{round(step * STEP_SECONDS, 3)},"train_loss":{loss},"train_perplexity":{math.exp(loss)},'
        f'"train_accuracy":{chance.randrange(257) / 256},"learning_rate":{1e-3 * (1 - step / (1.1 * steps))},'
        f'"grad_norm":{chance.gammavariate(4, 0.2)},"is_clipped":{"true" if chance.random() < 0.1 else "false"},'
        f'"tokens_per_second":{chance.gauss(18_600, 500)},"peak_memory_bytes":418136064}}\n'
    ).encode()


def events_after(step: int, chance: random.Random) -> Iterator[Event]:
    if step % HARDWARE_STEPS == 0:
        yield HardwareSampled(step, round(100 * chance.random(), 1), 412_000_000, 16_000_000_000)
    if step % EVALUATION_STEPS == 0:
        val = 2.5 + 5.0 * math.exp(-step / 50_000)
        yield PhaseStarted("evaluating", 9)
        yield EvaluationCompleted(
            step, 1, step * STEP_SECONDS, val - 0.1, math.exp(val - 0.1), 0.41, val, math.exp(val), 0.39, val / 2,
            is_best=True, seconds=0.434,
        )  # fmt: skip
        yield PhaseStarted("saving")
        yield CheckpointSaved(step, f"step-{step:08}.safetensors", is_best=True, seconds=0.008)
        yield PhaseStarted("training", 1_000_000)


def check(line: bytes) -> None:
    record = decode(line)
    assert record is not None and isinstance(record.event, StepCompleted) and encode(record) == line


def make_run(folder: Path, steps: int) -> RunDirectory:
    run = RunDirectory(folder / "long")
    run.path.mkdir()
    run.config_file.write_text(to_toml(parse_config({"training": {"max_steps": steps}}, "long")))
    run.manifest.write_text(json.dumps({"id": "long", "preset": "quick-test"}))
    check(step_line(1, 0, steps, random.Random(1)))
    write_log(run.event_log, steps)
    return run


def measure(run: RunDirectory, slice_seconds: float) -> dict[str, float]:
    """One opening of a run, in this process."""
    import tui_trainer.monitor.backfill  # noqa: F401 - what the follower imports late is not memory of the history

    memory = psutil.Process().memory_info
    before, start = memory().rss, time.perf_counter()
    follower = RunFollower(run)
    follower.poll()
    glimpse, last_step = time.perf_counter() - start, follower.state.current_step
    slices, highest, has_more = [], memory().rss, True
    while has_more:
        slice_start = time.perf_counter()
        has_more = follower.fold_slice(slice_seconds)
        slices.append(time.perf_counter() - slice_start)
        highest = max(highest, memory().rss)
    whole = time.perf_counter() - start
    assert follower.state.current_step == last_step, "the glimpse shows the newest step"
    return {
        "seconds to the first state": glimpse,
        "seconds to the whole history": whole,
        "for comparison, json.loads of all lines": json_seconds(run.event_log),
        "longest slice, ms": 1e3 * max(slices),
        "columns and means of a chart, ms": draw_ms(follower.state.history.train_loss, last_step),
        "most memory, MB": (highest - before) / 1e6,
        "memory at the end, MB": (memory().rss - before) / 1e6,
    }


def json_seconds(log: Path) -> float:
    """What the simplest reader would take, from every hundredth megabyte."""
    with log.open("rb") as file:
        size, seconds, read = log.stat().st_size, 0.0, 0
        for place in range(0, size, 100_000_000):
            file.seek(place)
            lines = file.read(1_000_000).split(b"\n")[1:-1]
            start = time.process_time()
            for line in lines:
                json.loads(line)
            seconds += time.process_time() - start
            read += sum(map(len, lines)) + len(lines)
    return seconds * size / read


def draw_ms(series: Series, last_step: int) -> float:
    times = []
    for _ in range(20):
        start = time.perf_counter()
        series.columns(240, 0, last_step)
        series.means(240, 0, last_step)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slice-ms", type=float, default=10)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(RunDirectory(arguments.measure), arguments.slice_ms / 1e3)))
        return
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder), arguments.steps)
        print(f"{arguments.steps:,} steps, {run.event_log.stat().st_size / 1e6:.0f} MB")
        command = [sys.executable, __file__, "--measure", str(run.path), "--slice-ms", str(arguments.slice_ms)]
        rounds = [json.loads(subprocess.check_output(command)) for _ in range(arguments.rounds)]
        for name in rounds[0]:
            values = [each[name] for each in rounds]
            print(f"{name:40} {statistics.median(values):8.2f}   {' '.join(f'{value:.2f}' for value in values)}")


if __name__ == "__main__":
    main()
