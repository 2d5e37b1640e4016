"""The early stage of overfitting: the training loss falls, the validation loss no longer follows."""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.evaluations import Evaluation, fall_of, noise_of, recent

RULE = "generalization_gap"
LEAST_EVALUATIONS = 5
SHARE_OF_STEPS = 0.25
LEAST_TRAIN_FALL = 0.05
"""Of the training loss: below that it has nearly stopped itself."""
NOISE_MARGIN = 8
"""In standard deviations of the validation loss, so that noise cannot hide that it follows."""
FOLLOWING_SHARE = 0.1
"""The validation loss follows when it falls by more than this share of what the training loss falls."""
FOLLOWING_SHARE_TO_CLEAR = 0.25
REMEDY = (
    "Nothing yet; soon more dropout, more weight decay, early stopping, or more data "
    "(Dropout 증가, Weight Decay 증가, 조기 종료)."
)


def find_generalization_gap(evaluations: Sequence[Evaluation], raised_level: str | None = None) -> Advice | None:
    """The note that the gap between both sides grows while the validation loss stands still, or None."""
    window = recent(evaluations, LEAST_EVALUATIONS, SHARE_OF_STEPS)
    ends = [window] if raised_level else [window, recent(evaluations[:-1], LEAST_EVALUATIONS, SHARE_OF_STEPS)]
    if not all(_is_growing(end, is_raised=raised_level is not None) for end in ends):
        return None
    first, last = window[0], window[-1]
    train_fall, val_fall = first.train_loss - last.train_loss, first.val_loss - last.val_loss
    gap = last.val_loss - last.train_loss
    change = f"fell {val_fall:.2f}" if val_fall >= 0 else f"rose {-val_fall:.2f}"
    evidence = (
        f"since step {first.step:,} train fell {train_fall:.2f} and val {change}: "
        f"the gap grew from {first.val_loss - first.train_loss:.2f} to {gap:.2f}"
    )
    values = {"gap": gap, "train_fall": train_fall, "val_fall": val_fall, "since_step": first.step}
    return Advice(RULE, "note", evidence, REMEDY, values)


def _is_growing(window: Sequence[Evaluation], *, is_raised: bool) -> bool:
    if not window:
        return False
    vals = [evaluation.val_loss for evaluation in window]
    train_fall = fall_of([evaluation.train_loss for evaluation in window])
    needed = max(LEAST_TRAIN_FALL * window[-1].train_loss, NOISE_MARGIN * noise_of(vals))
    if is_raised:
        return train_fall > needed / 2 and fall_of(vals) < FOLLOWING_SHARE_TO_CLEAR * train_fall
    return train_fall > needed and fall_of(vals) < FOLLOWING_SHARE * train_fall
