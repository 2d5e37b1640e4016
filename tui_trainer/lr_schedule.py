"""The learning rate as a pure function of the step: nothing to save, nothing to restore.

Warm-up climbs linearly and never starts at 0. The cosine shape is that of "SGDR: Stochastic Gradient Descent
with Warm Restarts" without the restarts, as GPT-3 used it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tui_trainer.config import TrainingConfig

DEFAULT_WARMUP_FRACTION = 0.05
DEFAULT_WARMUP_STEPS = 200
DEFAULT_FLOOR = 0.1
SMOOTH_CHANGE = 0.05
"""A rate may change so much, as a share of it, from one step to the next without a word about it."""


@dataclass(frozen=True)
class LearningRateSchedule:
    """`schedule(step)` is the rate of the update that makes step `step`, counted from 1 to `max_steps`."""

    shape: str
    peak: float
    floor: float
    warmup_steps: int
    decay_steps: int
    max_steps: int

    @property
    def stable_until(self) -> int | None:
        """The last step before a `wsd` run decays: from here it can be extended as if it had been planned longer."""
        return self.max_steps - self.decay_steps if self.shape == "wsd" else None

    def __call__(self, step: int) -> float:
        """The learning rate of one step; before the first and after the last it stays at the end values."""
        step = min(max(step, 1), self.max_steps)
        if step <= self.warmup_steps:
            return self.peak * step / self.warmup_steps
        if self.shape == "constant":
            return self.peak
        start = self.max_steps - self.decay_steps if self.shape == "wsd" else self.warmup_steps
        progress = max(0.0, (step - start) / max(1, self.max_steps - start))
        if self.shape == "cosine":
            remaining = 0.5 * (1.0 + math.cos(math.pi * progress))
        else:
            remaining = 1.0 - progress
        return self.floor + (self.peak - self.floor) * remaining


def describe_change(before: LearningRateSchedule, after: LearningRateSchedule, step: int) -> str:
    """What another plan does to the rate after `step`, in words; empty when the rate goes on where it was."""
    old, new = before(step), after(step + 1)
    if abs(new - old) <= SMOOTH_CHANGE * old:
        return ""
    return (
        f"the {after.shape} schedule is planned anew over {after.max_steps:,} steps: "
        f"at step {step + 1:,} the rate goes from {old:.2g} to {new:.2g}"
    )


def make_schedule(training: TrainingConfig, max_steps: int) -> LearningRateSchedule:
    """The schedule of a run of `max_steps` steps, with what the configuration left out filled in."""
    warmup = settle_warmup(training, max_steps)
    # A warm-up of one step is none, and the first step of a run without one is at the peak, not past it.
    warmup = min(max(1, warmup), max_steps)
    floor = training.min_learning_rate
    if floor is None:
        floor = training.learning_rate * DEFAULT_FLOOR
    decay = min(max_steps - warmup, math.ceil(max_steps * training.decay_fraction))
    return LearningRateSchedule(training.schedule, training.learning_rate, floor, warmup, decay, max_steps)


def explain_long_warmup(training: TrainingConfig, max_steps: int) -> tuple[str, str] | None:
    """What a warm-up that takes the whole run means, as evidence and remedy; None for a shorter one."""
    warmup = settle_warmup(training, max_steps)
    if warmup < max_steps or max_steps < 2:
        return None
    usual = settle_warmup(training.model_copy(update={"warmup_steps": None}), max_steps)
    evidence = f"training.warmup_steps = {warmup:,}, and the run has {max_steps:,} steps"
    return evidence, (
        f"The rate reaches its peak, {training.learning_rate:g}, only at the last step. "
        f"A twentieth of the run is usual: --set training.warmup_steps={usual}"
    )


def settle_warmup(training: TrainingConfig, max_steps: int) -> int:
    """The configured warm-up, else a twentieth of the run. A run keeps what it began with when it becomes longer."""
    if training.warmup_steps is not None:
        return training.warmup_steps
    return min(DEFAULT_WARMUP_STEPS, math.ceil(max_steps * DEFAULT_WARMUP_FRACTION))
