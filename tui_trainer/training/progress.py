"""Progress: how far a run is. Saved with each checkpoint, restored on resume."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

SKIP_WINDOW = 20
"""Steps within which skipped updates are counted together."""


@dataclass
class Progress:
    """The trainer's own memory, beside weights, optimizer and random numbers."""

    step: int = 0
    tokens_seen: int = 0
    elapsed_seconds: float = 0.0
    evaluated_step: int | None = None
    best_step: int | None = None
    best_val_loss: float | None = None
    val_loss: float | None = None
    """Of the weights of `evaluated_step`."""
    val_losses: list[float] = field(default_factory=list)
    """Of each planned evaluation, for early stopping."""
    micro_batch_size: int = 0
    """Sequences in memory at once; 0: not decided yet."""
    evaluation_rows: int = 0
    """Sequences that an evaluation takes at once; 0: not decided yet."""
    skipped_batches: int = 0
    """Batches that were passed over: the data is so much further on than the step."""
    skips: list[int] = field(default_factory=list)
    """The steps whose updates were skipped lately."""
    rollbacks: int = 0
    """Since the run last got past the place where it went wrong."""
    failed_step: int = 0
    """The place where it last went wrong."""
    learning_rate_factor: float = 1.0
    """What the planned learning rate is multiplied with: each roll-back halves it."""
    sampled_step: int | None = None
    """The step of the newest samples: an evaluation that was stopped before them still owes them."""

    @property
    def next_batch(self) -> int:
        """The number, from 1, of the batch that the next step learns from."""
        return self.step + 1 + self.skipped_batches

    def note_skip(self) -> int:
        """Passes over the batch of the next step and returns how many were skipped lately."""
        self.skipped_batches += 1
        self.skips = [*(step for step in self.skips if step > self.step - SKIP_WINDOW), self.step]
        return len(self.skips)

    def go_back_to(self, earlier: Progress, factor: float) -> Progress:
        """The progress of a checkpoint, going on with other data and a lower rate than the first time."""
        return Progress(
            **asdict(earlier)
            | {
                "elapsed_seconds": self.elapsed_seconds,
                "micro_batch_size": self.micro_batch_size,
                "evaluation_rows": self.evaluation_rows,
                "skipped_batches": self.skipped_batches + self.step - earlier.step,
                "skips": [],
                "rollbacks": self.rollbacks + 1,
                "failed_step": max(self.step, self.failed_step),
                "learning_rate_factor": self.learning_rate_factor * factor,
            }
        )

    def as_state(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The progress that `as_state` described; what another version knew is left out."""
        return cls(**{name: value for name, value in state.items() if name in cls.__dataclass_fields__})
