"""Plateau: both losses stand still while there is still something to learn (손실이 감소하지 않아요)."""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.evaluations import Evaluation, fall_of, highest_learning_rate, noise_of, recent

RULE = "plateau"
LEAST_EVALUATIONS = 8
SHARE_OF_STEPS = 0.25
ENDS = 3
"""So many windows one after the other must be level: one may be so by chance."""
LEVEL_FALL = 0.007
"""Of the loss: what falls less over the window is level. Healthy recordings fall by 2.3 % at the very least."""
LEVEL_FALL_TO_CLEAR = 0.014
NOISE_TO_CLEAR = 3
"""In standard deviations: as much may a level curve seem to fall."""
HIGH_RATE = 0.5
"""Of the highest learning rate so far. Below that the schedule itself brings the curve to rest."""
NEAR_BASELINE = 0.98
LATE = 0.5
"""Of the run."""
REMEDY = (
    "Lower the learning rate (1e-4 → 1e-5), check gradient clipping and the quality of the data (데이터 품질 확인); "
    "if both sides are equally poor, a bigger model."
)


def find_plateau(
    evaluations: Sequence[Evaluation],
    max_steps: int = 0,
    baseline_loss: float | None = None,
    raised_level: str | None = None,
) -> Advice | None:
    """The advice when both losses are level for several evaluations, or None.

    Args:
        evaluations: in the order of their steps.
        max_steps: the last step of the run; 0: not known.
        baseline_loss: of a model that knows only how often each token occurs, in nats a token.
        raised_level: the level of the advice that stands already.
    """
    ends = [len(evaluations)] if raised_level else range(len(evaluations), len(evaluations) - ENDS, -1)
    windows = [recent(evaluations[: max(0, end)], LEAST_EVALUATIONS, SHARE_OF_STEPS) for end in ends]
    if not all(_is_level(window, is_raised=raised_level is not None) for window in windows):
        return None
    first, last = windows[0][0], windows[0][-1]
    is_late = max_steps > 0 and last.step >= LATE * max_steps
    knows_little = is_late and baseline_loss is not None and last.val_loss > NEAR_BASELINE * baseline_loss
    if not (knows_little or _rate_is_high(evaluations)):
        return None
    evidence = (
        f"no fall since step {first.step:,}: train {first.train_loss:.3f} → {last.train_loss:.3f}, "
        f"val {first.val_loss:.3f} → {last.val_loss:.3f}"
    )
    values = {"train_loss": last.train_loss, "val_loss": last.val_loss, "since_step": first.step}
    if knows_little and baseline_loss is not None:
        evidence += f"; knowing only how often each token occurs gives {baseline_loss:.3f}"
        values["baseline_loss"] = baseline_loss
    return Advice(RULE, "warning" if knows_little else "note", evidence, REMEDY, values)


def _is_level(window: Sequence[Evaluation], *, is_raised: bool) -> bool:
    sides = ([each.train_loss for each in window], [each.val_loss for each in window])
    return bool(window) and all(fall_of(losses) < _level_fall(losses, is_raised=is_raised) for losses in sides)


def _level_fall(losses: Sequence[float], *, is_raised: bool) -> float:
    if not is_raised:
        return LEVEL_FALL * losses[-1]
    return max(LEVEL_FALL_TO_CLEAR * losses[-1], NOISE_TO_CLEAR * noise_of(losses))


def _rate_is_high(evaluations: Sequence[Evaluation]) -> bool:
    highest, now = highest_learning_rate(evaluations), evaluations[-1].learning_rate
    return highest is not None and now is not None and now >= HIGH_RATE * highest
