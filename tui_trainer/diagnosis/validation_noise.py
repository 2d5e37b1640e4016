"""A validation side of a few tokens: its loss is noise, so nothing may be concluded from it."""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.evaluations import Evaluation, is_noise_below

RULE = "validation_noise"
REMEDY = (
    "Early stopping is off, and the newest checkpoint counts as the best. "
    "Add text, or hold out more of it: data.val_fraction."
)


def find_noisy_validation(evaluations: Sequence[Evaluation], val_tokens: int | None) -> Advice | None:
    """The advice for a run whose validation side has `val_tokens` tokens, the first of which is no target."""
    if val_tokens is None or not is_noise_below(val_tokens - 1) or not evaluations:
        return None
    last = evaluations[-1]
    error = "" if last.val_loss_error is None else f" ± {last.val_loss_error:.3f}"
    evidence = f"val {last.val_loss:.3f}{error} is noise: it is measured on {val_tokens - 1} tokens"
    return Advice(RULE, "warning", evidence, REMEDY, {"val_tokens": val_tokens})
