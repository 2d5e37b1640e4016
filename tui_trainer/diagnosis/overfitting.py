"""Overfitting: the training loss goes on falling while the validation loss rises."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.evaluations import Evaluation, best_of, noise_of

RULE = "overfitting"
GUIDE_MARGIN = 0.5
"""The guide's rule of thumb: val_loss > best_val_loss + 0.5, in nats."""
RELATIVE_MARGIN = 0.01
NOISE_MARGIN = 4
"""In standard deviations. On a level but noisy curve the lowest of the medians is itself about two below it."""
RISING_EVALUATIONS = 3
RECOVERED_SHARE = 0.5
"""A warning goes when the rise is below this share of what raised it, so that it never flickers."""
REMEDY = (
    "More dropout, more weight decay, early stopping, or more data "
    "(Dropout 증가, Weight Decay 증가, 조기 종료). The best checkpoint is kept."
)


def find_overfitting(evaluations: Sequence[Evaluation], raised_level: str | None = None) -> Advice | None:
    """The overfitting advice for a history, or None.

    Args:
        evaluations: in the order of their steps.
        raised_level: the level of the advice that stands already; it needs less to stay than it needed to come.
    """
    if len(evaluations) < 2:
        return None
    best, last = best_of(evaluations), evaluations[-1]
    rise = last.val_loss - best.val_loss
    if rise <= 0 or last.train_loss >= best.train_loss:
        return None  # Where both sides rise it is a divergence, not the memorising of a text.
    if rise > GUIDE_MARGIN * (RECOVERED_SHARE if raised_level == "wrong" else 1.0):
        return _advice("wrong", best, last, rise)
    val_losses = [evaluation.val_loss for evaluation in evaluations]
    margin = max(RELATIVE_MARGIN * best.val_loss, NOISE_MARGIN * noise_of(val_losses))
    if raised_level:
        margin *= RECOVERED_SHARE
    is_past_best = sum(evaluation.step > best.step for evaluation in evaluations) >= RISING_EVALUATIONS
    if is_past_best and _lasting_rise(val_losses) > margin:
        return _advice("warning", best, last, rise)
    return None


def _lasting_rise(losses: Sequence[float]) -> float:
    """How far the newest three stand above the lowest three, by their medians: one lucky value is no low."""
    medians = [statistics.median(losses[end - 3 : end]) for end in range(3, len(losses) + 1)]
    return medians[-1] - min(medians)


def _advice(level: str, best: Evaluation, last: Evaluation, rise: float) -> Advice:
    fall = best.train_loss - last.train_loss
    train = f"train fell {fall:.2f}" if fall > 0 else f"train is {last.train_loss:.2f}"
    evidence = (
        f"val {last.val_loss:.3f} is {rise:.2f} above its best {best.val_loss:.3f} (step {best.step:,}) while {train}"
    )
    values = {"val_loss": last.val_loss, "best_val_loss": best.val_loss, "best_step": best.step, "rise": rise}
    return Advice(RULE, level, evidence, REMEDY, values)
