"""Memorisation: the samples recite the training text."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tui_trainer.diagnosis.advice import Advice
from tui_trainer.diagnosis.evaluations import Evaluation
from tui_trainer.diagnosis.samples import Sample

RULE = "memorization"
LEAST_SAMPLES = 2
QUOTED_SHARE = 0.5
"""Of a sample's tokens, in one piece. Half of a sample is no set phrase."""
QUOTED_CHARACTERS = 60
"""About ten words: what is shorter may be a common phrase."""
LEAST_GAP = 0.1
"""Of the validation loss. A model that quotes boilerplate knows unseen text as well: there is no gap."""
SHARE_TO_CLEAR = 0.6
"""Of each threshold: what stands needs less to stay."""
REMEDY = (
    "It learns the text by heart: more data, a smaller model, more dropout or early stopping (Dropout 증가, 조기 종료)."
)


def find_memorization(
    samples: Sequence[Sample], evaluations: Sequence[Evaluation], raised_level: str | None = None
) -> Advice | None:
    """The advice when most of the newest samples stand letter for letter in the training text, or None."""
    if len(samples) < LEAST_SAMPLES or not evaluations:
        return None
    ease = SHARE_TO_CLEAR if raised_level else 1.0
    last = evaluations[-1]
    gap = last.val_loss - last.train_loss
    share = statistics.median(sample.quoted_share for sample in samples)
    length = statistics.median(sample.quote_length for sample in samples)
    if share < ease * QUOTED_SHARE or length < ease * QUOTED_CHARACTERS or gap < ease * LEAST_GAP * last.val_loss:
        return None
    longest = max(samples, key=lambda sample: sample.quote_length)
    evidence = (
        f"{share:.0%} of a sample stands letter for letter in the training text, {longest.quote_length:,} characters "
        f"in one piece: “{longest.quote}”; train {last.train_loss:.2f}, val {last.val_loss:.2f}"
    )
    values = {"quoted_share": share, "quoted_characters": longest.quote_length, "gap": gap}
    return Advice(RULE, "warning", evidence, REMEDY, values)
