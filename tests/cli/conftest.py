from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tui_trainer.config import parse_config, to_toml
from tui_trainer.event_codec import encode
from tui_trainer.events import CheckpointSaved, EvaluationCompleted, Event, Record, RunStarted, StepCompleted
from tui_trainer.inference.writer import prompt_remarks
from tui_trainer.monitor.follower import LONG_LOG_BYTES
from tui_trainer.runs.directory import RunDirectory

RECORDINGS = Path(__file__).parent.parent / "recordings"


@dataclass
class HeldTraining:
    """A training that only notes what is asked of it."""

    run_dir: RunDirectory | None = None
    ends_with_screen: bool = True
    is_running: bool = True
    failure: str | None = None
    is_moving: bool = False
    has_moved: bool = False
    stops: int = 0
    detached_by: str | None = None

    def is_alive(self) -> bool:
        return self.is_running

    def stop(self) -> None:
        self.stops += 1

    def detach(self, requested_by: str) -> None:
        self.detached_by, self.is_moving = requested_by, True


@dataclass(frozen=True)
class HeldSpeaker:
    step: int
    val_loss: float | None
    warning: str | None = None


class HeldWriter:
    """Writes the pieces it was given, then waits to be cancelled when it is slow."""

    def __init__(self, *pieces: str, is_slow: bool = False, replaced: int = 0) -> None:
        self.pieces, self.is_slow, self.replaced = pieces, is_slow, replaced
        self.asked: list[tuple[str, float | None]] = []

    def refresh(self, *, is_alone: bool) -> HeldSpeaker:
        self.is_alone = is_alone
        return HeldSpeaker(1200, 4.255)

    def remarks(self, prompt: str) -> list[str]:
        return prompt_remarks(self.replaced, 1, 1)

    def stream(self, prompt, settings, is_cancelled: Callable[[], bool], tokens_per_second) -> Iterator[str]:
        assert self.is_alone == (tokens_per_second is None)
        self.asked.append((prompt, tokens_per_second))
        yield from self.pieces
        while self.is_slow and not is_cancelled():
            time.sleep(0.005)


@pytest.fixture
def training() -> HeldTraining:
    return HeldTraining()


@pytest.fixture
def make_writer() -> type[HeldWriter]:
    return HeldWriter


@pytest.fixture
def make_run(tmp_path) -> Callable[..., RunDirectory]:
    """A run directory with the log of a recording, or without one."""
    config = parse_config(
        {"training": {"epochs": 2, "eval_interval": 200}, "sampling": {"prompts": ["The value of "]}}, "recorded"
    )

    def make(recording: str | None = None) -> RunDirectory:
        run = RunDirectory(tmp_path / "run")
        run.control.mkdir(parents=True)
        run.config_file.write_text(to_toml(config))
        run.manifest.write_text(json.dumps({"id": "run", "preset": "quick-test"}))
        if recording:
            run.event_log.write_bytes((RECORDINGS / f"{recording}.jsonl").read_bytes())
        return run

    return make


@pytest.fixture
def make_long_run(make_run) -> Callable[..., RunDirectory]:
    """A run whose log is so long that its end is glimpsed at, with its only evaluation before that."""

    def make(*last: Event) -> RunDirectory:
        run = make_run()
        values = dict.fromkeys(EvaluationCompleted.__dataclass_fields__, 1.0)
        values |= {"step": 1, "epoch": 1, "val_loss": 4.3, "val_perplexity": 73.7, "is_best": True}
        values["is_noise"] = False
        start = RunStarted("r", 1000, 10_000, 256, 5000.0, 1, 1, 1, 1, 1, "cpu", "fp32")
        first = [start, EvaluationCompleted(**values), CheckpointSaved(1, "p", is_best=True, seconds=0.1)]
        step = {"epoch": 1, "tokens_seen": 256, "train_loss": 4.2, "train_perplexity": 66.0, "train_accuracy": 0.1}
        step |= {"learning_rate": 3e-4, "grad_norm": 1.0, "is_clipped": False, "tokens_per_second": 2560.0}
        step |= {"elapsed_seconds": 1.0, "peak_memory_bytes": 0}
        steps = [StepCompleted(step=number, **step) for number in range(1, 9001)]
        records = [Record(float(number), 0, event) for number, event in enumerate([*first, *steps, *last])]
        run.event_log.write_bytes(b"".join(map(encode, records)))
        assert run.event_log.stat().st_size > LONG_LOG_BYTES
        return run

    return make
