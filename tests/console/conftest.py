from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_trainer.config import parse_config, to_toml
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import Status

RECORDINGS = Path(__file__).parent.parent / "recordings"


@pytest.fixture
def make_run(tmp_path) -> Callable[..., RunDirectory]:
    """A run directory as an ended training leaves it; the log is that of a recording."""

    config = parse_config({"training": {"epochs": 2, "learning_rate": 1e-3, "eval_interval": 200}}, "quick-test.jsonl")

    def make(name: str = "run", recording: str | None = None, description: dict[str, str] | None = None, **status):
        run = RunDirectory(tmp_path / name)
        run.checkpoints.mkdir(parents=True)
        run.config_file.write_text(to_toml(config))
        run.manifest.write_text(json.dumps(description or {"id": name, "preset": "quick-test"}))
        if recording:
            run.event_log.write_bytes((RECORDINGS / f"{recording}.jsonl").read_bytes())
        if status:
            run.status_file.write_text(json.dumps(Status(**status).__dict__))
        return run

    return make
