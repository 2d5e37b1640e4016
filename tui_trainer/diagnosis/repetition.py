"""Repetition: the model writes the same words again and again (모델이 같은 단어만 반복해요)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.samples import Sample

RULE = "repetition"
LEAST_SAMPLES = 2
REPEATED_SHARE = 0.5
REPEATED_SHARE_TO_CLEAR = 0.35
EARLY_SHARE = 0.2
"""Of the run: every young model repeats the commonest words."""
REMEDY = (
    "Sample with a higher temperature, top-k or top-p (temperature 증가, top-k / top-p sampling); "
    "if that does not help, train longer or on more data."
)


def find_repetition(samples: Sequence[Sample], max_steps: int, raised_level: str | None = None) -> Advice | None:
    """The note that half of the newest samples' text has stood in them before, or None."""
    if len(samples) < LEAST_SAMPLES or samples[-1].step < EARLY_SHARE * max_steps or samples[-1].step == 0:
        return None
    share = statistics.median(sample.repeated_share for sample in samples)
    if share < (REPEATED_SHARE_TO_CLEAR if raised_level else REPEATED_SHARE):
        return None
    worst = max(samples, key=lambda sample: sample.repeated_share)
    temperature = "" if worst.temperature is None else f" at temperature {worst.temperature:g}"
    evidence = (
        f"{share:.0%} of a sample has stood in it before, the median of {len(samples)}{temperature}: "
        f"again and again “{worst.repeated}”"
    )
    return Advice(RULE, "note", evidence, REMEDY, {"repeated_share": share, "samples": len(samples)})
