"""Progress: how far a run is. Saved with each checkpoint, restored on resume."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass
class Progress:
    """The trainer's own memory, beside weights, optimizer and random numbers."""

    step: int = 0
    tokens_seen: int = 0
    elapsed_seconds: float = 0.0
    evaluated_step: int | None = None
    best_step: int | None = None
    best_val_loss: float | None = None
    patience_val_loss: float | None = None
    """The validation loss that early stopping compares with."""
    evaluations_without_gain: int = 0
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)
    """(step, train loss, validation loss) of each evaluation, for the diagnosis."""
    raised_levels: dict[str, str] = field(default_factory=dict)
    """The level of the advice that stands, by rule."""

    def has_lost_patience(self, patience: int) -> bool:
        """Whether so many evaluations in a row were no better; a patience of 0 never ends."""
        return bool(patience) and self.evaluations_without_gain >= patience

    def as_state(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The progress that `as_state` described."""
        known = {name: value for name, value in state.items() if name in cls.__dataclass_fields__}
        progress = cls(**known)
        progress.evaluations = [(int(step), train, val) for step, train, val in progress.evaluations]
        return progress
