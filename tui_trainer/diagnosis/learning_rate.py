"""The learning rate, the most important hyperparameter (학습률이 가장 중요한 하이퍼파라미터): too high or too low."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.evaluations import Evaluation, fall_of, highest_learning_rate, recent

HIGH_RULE = "learning_rate_high"
LOW_RULE = "learning_rate_low"
RECOMMENDED = (1e-4, 1e-3)
"""The guide's range."""

STUCK_AFTER = 0.3
"""Of the run. A healthy short run crosses the baseline after a quarter of its steps."""
STUCK_EVALUATIONS = 4
STUCK_FALL = 0.015
"""Of the loss, over these evaluations."""
STUCK_TO_CLEAR = 0.97
"""Of the baseline loss."""

BOUNCING_EVALUATIONS = 6
BOUNCES = 3
BOUNCING_RISE = 0.05
"""Of the loss: the sum of the rises of both sides together."""
BOUNCING_RISE_TO_CLEAR = 0.02
NEAR_PEAK = 0.5
"""Of the highest learning rate so far."""

LITTLE_AFTER = 0.2
LITTLE_WAY = 0.25
"""Of the way from the first loss to the baseline: after a fifth of the run a quarter of it is little."""
LATE = 0.5
LATE_WAY = 0.9

HIGH_REMEDY = (
    f"Lower the learning rate (학습률): recommended {RECOMMENDED[0]:.0e} to {RECOMMENDED[1]:.0e}; "
    "too high a one diverges (발산). Keep gradient clipping at 1.0 (그래디언트 클리핑)."
)
LOW_REMEDY = (
    f"Raise the learning rate (학습률): recommended {RECOMMENDED[0]:.0e} to {RECOMMENDED[1]:.0e}; "
    "too low a one learns slowly (학습이 느림). Or train for more steps."
)


def find_high_learning_rate(
    evaluations: Sequence[Evaluation],
    max_steps: int = 0,
    baseline_loss: float | None = None,
    raised_level: str | None = None,
) -> Advice | None:
    """The advice when the losses bounce near the peak of the schedule or are stuck at the baseline, or None.

    Args:
        evaluations: in the order of their steps.
        max_steps: the last step of the run; 0: not known.
        baseline_loss: of a model that knows only how often each token occurs, in nats a token.
        raised_level: the level of the advice that stands already.
    """
    highest = highest_learning_rate(evaluations)
    if highest is None or not _is_past_warmup(evaluations):
        return None
    evidence = _bounces(evaluations, highest, raised_level)
    if evidence is None and baseline_loss is not None and highest > RECOMMENDED[1]:
        evidence = _stuck(evaluations, max_steps, baseline_loss, raised_level)
    if evidence is None:
        return None
    last = evaluations[-1]
    values = {"learning_rate": last.learning_rate or 0.0, "highest": highest, "val_loss": last.val_loss}
    return Advice(HIGH_RULE, "warning", f"{evidence}; the learning rate went up to {highest:.2g}", HIGH_REMEDY, values)


def find_low_learning_rate(
    evaluations: Sequence[Evaluation],
    max_steps: int = 0,
    baseline_loss: float | None = None,
    raised_level: str | None = None,
) -> Advice | None:
    """The advice when the loss falls steadily, but is far from the baseline well into the run, or None."""
    highest = highest_learning_rate(evaluations)
    if baseline_loss is None or highest is None or highest >= RECOMMENDED[1] or not _is_past_warmup(evaluations):
        return None
    first, last = evaluations[0], evaluations[-1]
    to_go = first.val_loss - baseline_loss
    if to_go <= 0 or not max_steps or last.val_loss >= first.val_loss:
        return None
    way, done = (first.val_loss - last.val_loss) / to_go, last.step / max_steps
    is_slow = (done >= LITTLE_AFTER and way < LITTLE_WAY) or (done >= LATE and way < LATE_WAY)
    if not (is_slow or (raised_level and way < 1)):
        return None
    evidence = (
        f"val fell only from {first.val_loss:.3f} to {last.val_loss:.3f} in {done:.0%} of the steps; "
        f"knowing only how often each token occurs gives {baseline_loss:.3f}; "
        f"the learning rate went up to {highest:.2g}"
    )
    values = {"val_loss": last.val_loss, "baseline_loss": baseline_loss, "highest": highest}
    return Advice(LOW_RULE, "warning", evidence, LOW_REMEDY, values)


def _is_past_warmup(evaluations: Sequence[Evaluation]) -> bool:
    """A rate that no longer climbs."""
    rates = [each.learning_rate for each in evaluations if each.learning_rate is not None]
    return len(rates) >= 2 and rates[-1] <= rates[-2]


def _bounces(evaluations: Sequence[Evaluation], highest: float, raised_level: str | None) -> str | None:
    window, rate = evaluations[-BOUNCING_EVALUATIONS:], evaluations[-1].learning_rate
    if len(window) < BOUNCING_EVALUATIONS or rate is None or rate < NEAR_PEAK * highest:
        return None
    changes = [min(new.train_loss - old.train_loss, new.val_loss - old.val_loss) for old, new in pairwise(window)]
    rises = [change for change in changes if change > 0]
    share = BOUNCING_RISE_TO_CLEAR if raised_level else BOUNCING_RISE
    fall = fall_of([each.val_loss for each in window])
    if len(rises) < BOUNCES - bool(raised_level) or sum(rises) < max(fall, share * window[-1].val_loss):
        return None
    return f"both losses rose {len(rises)} times in {len(window)} evaluations, by {sum(rises):.2f} together"


def _stuck(
    evaluations: Sequence[Evaluation], max_steps: int, baseline_loss: float, raised_level: str | None
) -> str | None:
    last = evaluations[-1]
    said = f"val {last.val_loss:.3f} is stuck: knowing only how often each token occurs gives {baseline_loss:.3f}"
    if min(last.train_loss, last.val_loss) <= STUCK_TO_CLEAR * baseline_loss:
        return None  # A low training loss beside it is no matter of the rate: the text is learned by heart.
    if raised_level:
        return said
    window = [each.val_loss for each in recent(evaluations, STUCK_EVALUATIONS, STUCK_AFTER)]
    is_late = max_steps > 0 and last.step >= STUCK_AFTER * max_steps
    is_level = bool(window) and fall_of(window) < STUCK_FALL * last.val_loss
    is_over = 0 < max_steps <= last.step  # however it fell: it has not learned what counting teaches
    return said if last.val_loss >= baseline_loss and ((is_late and is_level) or is_over) else None
