"""Steps: what the rules remember of the single steps, in a few figures whatever their number."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from tui_trainer.diagnosis.evaluations import figure
from tui_trainer.diagnosis.state import known_of
from tui_trainer.events import StepCompleted

SMOOTHING = 0.1
"""Weight of the newest loss in the running mean: a memory of about ten steps."""
NOISE_SMOOTHING = 0.02
EARLY_STEPS = 20
"""Until then the noise is not known."""
EARLY_NOISE = 0.1
"""Of the loss: more than that is no noise but a run that starts badly."""
NOISE_CUT = 3.0
"""No step counts for more than so many deviations in the noise, and none while the loss is up: that is no noise."""
JUMP = 6.0
"""In standard deviations; a loss twice as high as the lowest is a jump too."""
LEAST_JUMP = 0.1
"""In nats: a text known by heart has losses that double over nothing."""
RISE = 4.0
"""In standard deviations of a single step; within 100,000 level steps noise alone lifts the smoothed loss by three."""
RELATIVE_RISE = 0.02
DIFFERENCE_TO_DEVIATION = math.sqrt(math.pi) / 2
"""The mean absolute difference of two independent normal values is 2/√π of their standard deviation."""


@dataclass
class Steps:
    """A fold of StepCompleted: the smoothed training loss and its noise, and the gradients since an evaluation."""

    count: int = 0
    first_loss: float | None = None
    last_loss: float | None = None
    smoothed_loss: float = 0.0
    noise: float = 0.0
    """The standard deviation of a single step's loss around its trend, in nats."""
    lowest_loss: float | None = None
    """The lowest smoothed loss."""
    lowest_step: int = 0
    high_in_a_row: int = 0
    """How many steps up to now lay far above the lowest smoothed loss."""
    rising_in_a_row: int = 0
    """For how many steps the smoothed loss has stood clearly above its lowest value."""
    learning_rate: float | None = None
    since_evaluation: int = 0
    clipped: int = 0
    grad_norms: int = 0
    log_grad_norm_sum: float = 0.0

    def add(self, event: StepCompleted) -> None:
        """Takes in the next step; a figure that is not finite is left out."""
        self.learning_rate = figure(event.learning_rate)
        self.since_evaluation += 1
        self.clipped += event.is_clipped
        grad_norm, loss = figure(event.grad_norm), figure(event.train_loss)
        if grad_norm:
            self.grad_norms += 1
            self.log_grad_norm_sum += math.log(grad_norm)
        if loss is not None:
            self._add_loss(event.step, loss)

    def _add_loss(self, step: int, loss: float) -> None:
        if self.last_loss is None:
            self.first_loss = self.smoothed_loss = self.lowest_loss = loss
            self.lowest_step = step
        elif not self.high_in_a_row and not self.rising_in_a_row:
            self._add_noise(abs(loss - self.last_loss) * DIFFERENCE_TO_DEVIATION, EARLY_NOISE * self.last_loss)
        self.count += 1
        self.last_loss = loss
        # The first losses are a plain mean, so that the very first does not linger.
        self.smoothed_loss += max(SMOOTHING, 1 / self.count) * (loss - self.smoothed_loss)
        self._compare(step, loss)

    def _add_noise(self, deviation: float, early_cut: float) -> None:
        deviation = min(deviation, NOISE_CUT * self.noise if self.count > EARLY_STEPS else early_cut)
        self.noise += max(NOISE_SMOOTHING, 1 / self.count) * (deviation - self.noise)

    def _compare(self, step: int, loss: float) -> None:
        if self.lowest_loss is None or self.smoothed_loss < self.lowest_loss:
            self.lowest_loss, self.lowest_step = self.smoothed_loss, step
        is_known = self.count > EARLY_STEPS
        jump = min(self.lowest_loss, JUMP * self.noise) if is_known else self.lowest_loss
        is_high = loss > self.lowest_loss + max(jump, LEAST_JUMP)
        self.high_in_a_row = self.high_in_a_row + 1 if is_high else 0
        is_rising = is_known and self.rise > self.margin
        self.rising_in_a_row = self.rising_in_a_row + 1 if is_rising else 0

    @property
    def rise(self) -> float:
        """How far the smoothed loss stands above its lowest value, in nats."""
        return self.smoothed_loss - self.lowest_loss if self.lowest_loss is not None else 0.0

    @property
    def margin(self) -> float:
        """The rise that noise does not explain, in nats."""
        return max(RISE * self.noise, RELATIVE_RISE * (self.lowest_loss or 0.0), LEAST_JUMP / 2)

    @property
    def grad_norm(self) -> float | None:
        """The geometric mean of the gradient norms since the last evaluation."""
        return math.exp(self.log_grad_norm_sum / self.grad_norms) if self.grad_norms else None

    @property
    def clipped_share(self) -> float | None:
        """The share of the steps since the last evaluation whose gradient was clipped."""
        return self.clipped / self.since_evaluation if self.since_evaluation else None

    def begin_interval(self) -> None:
        """An evaluation has taken over the gradients up to here."""
        self.since_evaluation = self.clipped = self.grad_norms = 0
        self.log_grad_norm_sum = 0.0

    def as_state(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `as_state` described; unknown keys are left out, missing ones are as at the start."""
        return cls(**known_of(cls, state))
