from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_trainer.config import parse_config, to_toml
from tui_trainer.event_codec import decode
from tui_trainer.events import Event, Record, StepCompleted
from tui_trainer.runs.directory import RunDirectory

RECORDINGS = Path(__file__).parent.parent / "recordings"


@pytest.fixture
def recording() -> Callable[[str], list[Record]]:
    """The records of a recorded run."""

    def read(name: str) -> list[Record]:
        lines = (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines()
        return [record for line in lines if (record := decode(line))]

    return read


@pytest.fixture(scope="session")
def recordings() -> Path:
    return RECORDINGS


@pytest.fixture
def step_event() -> Callable[..., Record]:
    """A step, its loss falling from 5 unless said otherwise."""

    def make(step: int, loss: float | None = None, segment: int = 0, **changes: object) -> Record:
        event: Event = StepCompleted(
            **{
                "step": step,
                "epoch": 1,
                "tokens_seen": step * 256,
                "elapsed_seconds": step / 10,
                "train_loss": 5 / (1 + step) if loss is None else loss,
                "train_perplexity": 2.0,
                "train_accuracy": 0.1,
                "learning_rate": 1e-3,
                "grad_norm": 1.0,
                "is_clipped": False,
                "tokens_per_second": 2560.0,
                "peak_memory_bytes": 10**9,
                **changes,
            }
        )
        return Record(float(step), segment, event)

    return make


@pytest.fixture
def run_dir(tmp_path) -> Callable[..., RunDirectory]:
    """A run directory with a log that was recorded, or none."""

    config = parse_config({"training": {"epochs": 2, "learning_rate": 1e-3, "eval_interval": 200}}, "quick-test.jsonl")

    def make(recording: str | None = None) -> RunDirectory:
        run = RunDirectory(tmp_path / "run")
        run.path.mkdir()
        run.config_file.write_text(to_toml(config))
        run.manifest.write_text(json.dumps({"id": "run", "preset": "quick-test"}))
        if recording:
            run.event_log.write_bytes((RECORDINGS / f"{recording}.jsonl").read_bytes())
        return run

    return make
