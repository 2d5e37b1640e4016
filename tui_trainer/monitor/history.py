"""The history of a run: every metric over the steps, and where something happened, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from tui_trainer.events import EvaluationCompleted, HardwareSampled, StepCompleted
from tui_trainer.monitor.series import MAX_BUCKETS, Bucket, Series

if TYPE_CHECKING:
    from tui_trainer.runs.step_lines import StepBlock

__all__ = ["MAX_BUCKETS", "Bucket", "History", "Marks", "Series"]

MAX_MARKS = 4096
"""Of each kind."""
CLIPPED_OF = 100


@dataclass
class Marks:
    """Steps at which something happened, by its kind."""

    _steps: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, step: int) -> None:
        """One more; kinds are checkpoint, resume, roll_back, non_finite, pause, rate and last_step."""
        steps = self._steps.setdefault(kind, [])
        steps.append(step)
        if len(steps) > MAX_MARKS:
            self._steps[kind] = _thinned(steps)

    def steps(self, kind: str) -> list[int]:
        """The steps of a kind, oldest first."""
        return self._steps.get(kind, [])

    def drop_after(self, step: int) -> None:
        """Forgets what came after a step."""
        self._steps = {kind: [each for each in steps if each <= step] for kind, steps in self._steps.items()}


def _thinned(steps: list[int]) -> list[int]:
    """The last of each of about half as many equal spans: no chart can show them closer to each other.

    Spans are powers of two long, so that one that is thinned again stays as it is until they double.
    """
    width = 1 << ((max(steps) - min(steps)) // (MAX_MARKS // 2)).bit_length()
    return list({step // width: step for step in steps}.values())


@dataclass
class History:
    """Every metric over the steps."""

    train_loss: Series = field(default_factory=Series)
    train_perplexity: Series = field(default_factory=Series)
    train_accuracy: Series = field(default_factory=Series)
    learning_rate: Series = field(default_factory=Series)
    grad_norm: Series = field(default_factory=Series)
    clip_rate: Series = field(default_factory=Series)
    """1 for a step whose gradient was clipped, else 0."""
    tokens_per_second: Series = field(default_factory=Series)
    train_eval_loss: Series = field(default_factory=Series)
    val_loss: Series = field(default_factory=Series)
    gap: Series = field(default_factory=Series)
    """Validation loss minus training loss, both of an evaluation."""
    train_eval_perplexity: Series = field(default_factory=Series)
    val_perplexity: Series = field(default_factory=Series)
    train_eval_accuracy: Series = field(default_factory=Series)
    val_accuracy: Series = field(default_factory=Series)
    cpu_percent: Series = field(default_factory=Series)
    memory_bytes: Series = field(default_factory=Series)
    gpu_percent: Series = field(default_factory=Series)
    gpu_memory_bytes: Series = field(default_factory=Series)
    marks: Marks = field(default_factory=Marks)

    def add_step(self, event: StepCompleted) -> None:
        """What one step measured."""
        self.train_loss.append(event.step, event.train_loss)
        self.train_perplexity.append(event.step, event.train_perplexity)
        self.train_accuracy.append(event.step, event.train_accuracy)
        self.learning_rate.append(event.step, event.learning_rate)
        self.grad_norm.append(event.step, event.grad_norm)
        self.clip_rate.append(event.step, event.is_clipped)
        self.tokens_per_second.append(event.step, event.tokens_per_second)

    def add_steps(self, block: StepBlock) -> None:
        """What many steps measured, with the very same result."""
        self.train_loss.extend(block.step, block.train_loss)
        self.train_perplexity.extend(block.step, block.train_perplexity)
        self.train_accuracy.extend(block.step, block.train_accuracy)
        self.learning_rate.extend(block.step, block.learning_rate)
        self.grad_norm.extend(block.step, block.grad_norm)
        self.clip_rate.extend(block.step, block.is_clipped)
        self.tokens_per_second.extend(block.step, block.tokens_per_second)

    def add_evaluation(self, event: EvaluationCompleted) -> None:
        """What one evaluation measured."""
        train, val = event.train_eval_loss, event.val_loss
        self.train_eval_loss.append(event.step, train)
        self.val_loss.append(event.step, val)
        self.gap.append(event.step, None if train is None or val is None else val - train)
        self.train_eval_perplexity.append(event.step, event.train_eval_perplexity)
        self.val_perplexity.append(event.step, event.val_perplexity)
        self.train_eval_accuracy.append(event.step, event.train_eval_accuracy)
        self.val_accuracy.append(event.step, event.val_accuracy)

    def add_hardware(self, event: HardwareSampled) -> None:
        """How busy the machine was."""
        self.cpu_percent.append(event.step, event.cpu_percent)
        self.memory_bytes.append(event.step, event.memory_bytes)
        if event.gpu_percent is not None:  # a machine without a GPU has no gaps in what it does
            self.gpu_percent.append(event.step, event.gpu_percent)
        if event.gpu_memory_bytes is not None:
            self.gpu_memory_bytes.append(event.step, event.gpu_memory_bytes)

    @property
    def clipped_share(self) -> float | None:
        """How many of the last `CLIPPED_OF` steps were clipped, between 0 and 1; None before the first step."""
        newest = self.clip_rate.last
        means = newest and self.clip_rate.means(1, newest.last_step - CLIPPED_OF + 1, newest.last_step)
        return means[0][0] if means and means[0] else None

    def drop_after(self, step: int) -> None:
        """Forgets what came after a step."""
        for each in fields(self):
            getattr(self, each.name).drop_after(step)
