"""Gradients that grow: the norm far above what is usual in this run, or suddenly clipped in nearly every step."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.evaluations import Evaluation

RULE = "gradient_norm"
LEAST_EVALUATIONS = 6
NEWEST = 2
"""Evaluations in a row that must show it."""
GROWTH = 4.0
"""Times the usual norm. An overfitting run that goes well otherwise grows by a factor of three."""
GROWTH_TO_CLEAR = 2.0
SELDOM, NEARLY_ALWAYS = 0.3, 0.9
"""Shares of clipped steps. A small model may clip every step from the start: that is no change."""
CHANGE_TO_CLEAR = 0.6
"""What stands stays until so many steps are clipped usually, or no more than so many are now."""
REMEDY = (
    "Watch the loss; if it rises, lower the learning rate (학습률). Clip gradients at 1.0, which prevents explosions "
    "(그래디언트 클리핑)."
)


def find_growing_gradients(evaluations: Sequence[Evaluation], raised_level: str | None = None) -> Advice | None:
    """The advice when the steps of the newest evaluations have far larger gradients than usual, or None."""
    known = [each for each in evaluations if each.grad_norm is not None and each.clipped_share is not None]
    if len(known) < LEAST_EVALUATIONS:
        return None
    before, newest = known[:-NEWEST], known[-NEWEST:]
    norm, usual = min(_norms(newest)), statistics.median(_norms(before))
    clipped = min(each.clipped_share or 0.0 for each in newest)
    usually_clipped = statistics.median(each.clipped_share or 0.0 for each in before)
    grows = norm > usual * (GROWTH_TO_CLEAR if raised_level == "warning" else GROWTH)
    seldom, nearly_always = (CHANGE_TO_CLEAR, CHANGE_TO_CLEAR) if raised_level else (SELDOM, NEARLY_ALWAYS)
    clips = usually_clipped < seldom and clipped > nearly_always
    if not (grows or clips):
        return None
    evidence = (
        f"gradient norm {norm:.2f}, usually {usual:.2f} in this run; {clipped:.0%} of the steps are clipped, "
        f"usually {usually_clipped:.0%}"
    )
    values = {"grad_norm": norm, "usual": usual, "clipped_share": clipped, "usually_clipped": usually_clipped}
    return Advice(RULE, "warning" if grows else "note", evidence, REMEDY, values)


def _norms(evaluations: Sequence[Evaluation]) -> list[float]:
    return [each.grad_norm or 0.0 for each in evaluations]
