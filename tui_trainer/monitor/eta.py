"""How long a run still takes: steps, evaluations and saves are counted apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median, median_low

RECENT_STEPS = 50
RECENT_OTHERS = 5
ENOUGH_STEPS = 5
OUTLIERS = 25
"""Of so many steps the slowest and the fastest do not count: one may have lasted as long as its process was stopped."""


def _recent(length: int) -> deque[float]:
    return deque(maxlen=length)


@dataclass
class Pace:
    """How long the last steps, evaluations and saves took, in seconds."""

    steps: deque[float] = field(default_factory=lambda: _recent(RECENT_STEPS))
    evaluations: deque[float] = field(default_factory=lambda: _recent(RECENT_OTHERS))
    saves: deque[float] = field(default_factory=lambda: _recent(RECENT_OTHERS))

    def add_step(self, seconds: float) -> None:
        """One more step."""
        self.steps.append(seconds)

    def add_evaluation(self, seconds: float) -> None:
        """One more evaluation."""
        self.evaluations.append(seconds)

    def add_save(self, seconds: float) -> None:
        """One more checkpoint."""
        self.saves.append(seconds)

    def tokens_per_second(self, tokens_per_step: int) -> float | None:
        """Of the median recent step, so that one slow step does not shake the figure."""
        return tokens_per_step / median(self.steps) if self.steps else None

    def seconds_left(self, step: int, max_steps: int, eval_interval: int, steps_per_epoch: float) -> float | None:
        """Time to the last step; None while too little is known. Never negative.

        A save is counted with each evaluation, as while the loss still falls.
        """
        if len(self.steps) < ENOUGH_STEPS:
            return None
        step = min(step, max_steps)
        left = max_steps - step
        epoch_ends = int(max_steps / steps_per_epoch) - int(step / steps_per_epoch) if steps_per_epoch else 0
        evaluations = max_steps // eval_interval - step // eval_interval + max(0, epoch_ends)
        evaluations += int(not _is_evaluated(max_steps, eval_interval, steps_per_epoch))
        others = sum(median_low(values) for values in (self.evaluations, self.saves) if values)
        return left * _trimmed_mean(self.steps) + min(left, evaluations) * others


def _is_evaluated(last: int, eval_interval: int, steps_per_epoch: float) -> bool:
    """Whether the last step is one of the others that are evaluated; it is evaluated in any case."""
    is_epoch_end = steps_per_epoch > 0 and int(last / steps_per_epoch) > int((last - 1) / steps_per_epoch)
    return last % eval_interval == 0 or is_epoch_end


def _trimmed_mean(values: Sequence[float]) -> float:
    """Not the median: where every tenth step is twice as slow, the others do not tell how long all of them take."""
    outliers = max(1, len(values) // OUTLIERS)
    return fmean(sorted(values)[outliers:-outliers])
