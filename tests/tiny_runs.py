"""Runs so small that a test trains one in a moment, and what was left behind by them."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig, parse_config
from tui_trainer.events import Event
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import EventLogReader
from tui_trainer.training.interruption import ProgramLink, StopRequested
from tui_trainer.training.launch import NewRun, ResumedRun, TrainingHandle, ignore_directory
from tui_trainer.training.session import hold_session

TIMES = ("elapsed_seconds", "seconds", "tokens_per_second", "peak_memory_bytes")


def write_text(folder: Path, length: int = 3000, seed: int = 0, alphabet: str = "abcdefgh .\n") -> Path:
    """Random words: every byte is one token of the `bytes` tokenizer."""
    path = folder / "text.txt"
    path.write_text("".join(random.Random(seed).choices(alphabet, k=length)))
    return path


def tiny_config(text: Path, **sections: dict[str, Any]) -> RunConfig:
    """Width 16, one layer, with dropout; keyword arguments add to a section."""
    tables: dict[str, dict[str, Any]] = {
        "model": {"n_layer": 1, "n_head": 2, "n_embd": 16, "context_length": 16, "dropout": 0.2},
        "data": {"paths": [str(text)], "tokenizer": "bytes"},
        "training": {"max_steps": 20, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 1e-2}
        | {"eval_interval": 5, "checkpoint_interval": 7, "seed": 1},
        "sampling": {"prompts": ["The "]},
    }
    for section, changes in sections.items():
        tables.setdefault(section, {}).update(changes)
    return parse_config(tables, "test")


def new(config: RunConfig, run: RunDirectory) -> NewRun:
    return NewRun(config, "tiny", run.path, "cpu")


def changed(config: RunConfig, **training: Any) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def train(
    request: NewRun | ResumedRun, on_directory: Callable[[RunDirectory], None] = ignore_directory
) -> TrainingHandle:
    """Trains to the end as the program does."""
    handle = TrainingHandle(request, on_directory)
    handle.start()
    handle.join(60)
    assert not handle.is_alive()
    return handle


def trained(config: RunConfig, path: Path) -> RunDirectory:
    """A run that went well."""
    handle = train(NewRun(config, "tiny", path, "cpu"))
    assert (handle.exit_code, handle.failure) == (0, None)
    return RunDirectory(path)


class StopAfter(ProgramLink):
    """Asks for the stop at the N-th look: between two micro-batches, two evaluation batches, two chunks of text."""

    def __init__(self, looks: int | None = None) -> None:
        super().__init__()
        self.count = 0
        self._looks = looks

    def is_stopping(self) -> bool:
        self.count += 1
        if self.count == self._looks:
            self.stop()
        return super().is_stopping()


def hold(request: NewRun | ResumedRun, looks: int | None = None) -> StopAfter:
    """Trains in this thread, to the end or to a certain look at the link."""
    link = StopAfter(looks)
    try:
        hold_session(request, link, ignore_directory)
    except StopRequested:
        assert looks
    return link


def events(run: RunDirectory, kind: type[Event] = Event) -> list[Any]:
    """What the log holds, oldest first."""
    return [record.event for record in EventLogReader(run.event_log).read(1 << 26) if isinstance(record.event, kind)]


def figures(event: Event) -> dict[str, Any]:
    """An event without what a clock or the system decides."""
    return {name: value for name, value in asdict(event).items() if name not in TIMES}


def tensors_of(run: RunDirectory, which: Any = "last") -> dict[str, torch.Tensor]:
    return CheckpointStore(run.checkpoints).load(which).tensors


def sha_of(tensors: dict[str, torch.Tensor], prefix: str = "") -> str:
    """Equal for equal bits."""
    digest = hashlib.sha256()
    for name in sorted(name for name in tensors if name.startswith(prefix)):
        digest.update(name.encode() + tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def assert_good(run: RunDirectory) -> None:
    """Both pointers load, and hold nothing but finite numbers."""
    for which in ("best", "last"):
        checkpoint = CheckpointStore(run.checkpoints).load(which)
        assert checkpoint.warning is None
        assert all(torch.isfinite(tensor).all() for tensor in checkpoint.tensors.values())
        assert checkpoint.metrics["val_loss"] is None or math.isfinite(checkpoint.metrics["val_loss"])
