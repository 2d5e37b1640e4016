"""Runs to be charted, made by hand: a state, and what else of a follower a chart asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tui_trainer.config import RunConfig
from tui_trainer.events import (
    CheckpointSaved,
    EvaluationCompleted,
    Event,
    HardwareSampled,
    Record,
    RunStarted,
    StepCompleted,
)
from tui_trainer.lr_schedule import LearningRateSchedule
from tui_trainer.monitor.run_state import RunState
from tui_trainer.presets import load_preset

SCHEDULE = LearningRateSchedule("linear", 1e-3, 0.0, 1, 1999, 2000)


@dataclass
class ChartedRun:
    """Stands in for a RunFollower."""

    state: RunState = field(default_factory=RunState)
    schedule: LearningRateSchedule | None = SCHEDULE
    config: RunConfig = field(default_factory=lambda: load_preset("quick-test").config)


def run_of(*events: Event) -> ChartedRun:
    run = ChartedRun()
    for event in (started(), *events):
        run.state.apply(Record(0.0, 0, event))
    return run


def started(max_steps: int = 2000) -> RunStarted:
    return RunStarted("x", 1, max_steps, 256, 1000.0, 1, 1, 1, 1, 1, "cpu", "fp32")


def step(number: int, loss: float | None, grad_norm: float | None = 1.5, *, is_clipped: bool = False) -> StepCompleted:
    perplexity = None if loss is None else math.exp(min(loss, 700))
    return StepCompleted(number, 1, 0, 0.0, loss, perplexity, 0.2, SCHEDULE(number), grad_norm, is_clipped, 1e4, 1)


def evaluation(number: int, train: float | None, val: float | None, *, is_best: bool = False) -> EvaluationCompleted:
    return EvaluationCompleted(number, 1, 0.0, train, train, 0.3, val, val, 0.2, 2.0, is_best, 0.1)


def saved(number: int) -> CheckpointSaved:
    return CheckpointSaved(number, "x", is_best=False, seconds=0.1)


def machine(number: int, gpu: float | None = None) -> HardwareSampled:
    return HardwareSampled(
        number, 60.0, 400_000_000, 16_000_000_000, gpu, gpu and 2_000_000_000, gpu and 24_000_000_000
    )
