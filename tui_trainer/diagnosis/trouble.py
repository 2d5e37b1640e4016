"""Trouble: steps that were not made, and steps that were taken back."""

from __future__ import annotations

from dataclasses import dataclass

from tui_trainer.diagnosis.evaluations import figure
from tui_trainer.events import RolledBack, StepSkipped

TROUBLE_STEPS = 20
"""Good steps after which a skipped step or a roll-back is over."""


@dataclass
class Trouble:
    """Steps that were not made, and steps that were taken back."""

    skipped: int = 0
    skipped_step: int = 0
    train_loss: float | None = None
    grad_norm: float | None = None
    rolled_back: int = 0
    rolled_back_step: int = 0
    from_step: int = 0
    reason: str = ""
    learning_rate_factor: float = 1.0

    def note_skip(self, event: StepSkipped) -> None:
        """Another step was skipped."""
        self.skipped += 1
        self.skipped_step = event.step
        self.train_loss, self.grad_norm = figure(event.train_loss), figure(event.grad_norm)

    def note_roll_back(self, event: RolledBack) -> None:
        """The run went back to a checkpoint; the skips that led to it are part of that."""
        self.skipped = 0
        self.rolled_back += 1
        self.rolled_back_step, self.from_step = event.step, event.from_step
        self.reason, self.learning_rate_factor = event.reason, figure(event.learning_rate_factor) or 0.0

    def forget_old(self, step: int) -> None:
        """Forgets what lies enough good steps back."""
        if self.skipped and step >= self.skipped_step + TROUBLE_STEPS:
            self.skipped = 0
        if self.rolled_back and step >= self.from_step + TROUBLE_STEPS:
            self.rolled_back = 0
