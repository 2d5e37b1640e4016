"""How the next token is chosen: repetition penalty, temperature, then top-k, top-p and min-p."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tui_trainer.errors import UserError
from tui_trainer.inference.settings import SamplingSettings


def choose_token(
    logits: npt.NDArray[np.floating],
    settings: SamplingSettings,
    random: np.random.Generator,
    context: Sequence[int] = (),
) -> int:
    """Draws one token id from logits (V,).

    Exactly k tokens pass top-k, ties or not; the token that crosses p passes top-p, so at least one does ("The
    Curious Case of Neural Text Degeneration"); min-p keeps what is at least so many times as likely as the likeliest.

    Args:
        logits: of the next token.
        settings: how to choose.
        random: the caller's own generator.
        context: the tokens so far, which a repetition penalty makes less likely.

    Raises:
        UserError: when the logits are not finite: the model has diverged.
    """
    if not np.isfinite(logits).all():
        raise UserError("the model answers with NaN: it has diverged; choose an earlier checkpoint")
    if settings.repetition_penalty != 1 and context:
        logits = _penalised(logits, np.unique(context), settings.repetition_penalty)
    if settings.temperature == 0:
        return int(logits.argmax())
    count = min(settings.top_k or len(logits), len(logits))
    # In the order of the vocabulary, so that a difference in the last bit of a logit hardly moves what is drawn.
    ids = np.sort(np.argpartition(logits, -count)[-count:]) if count < len(logits) else np.arange(count)
    values = logits[ids].astype(np.float64)
    # Dividing by a tiny temperature must not overflow: only differences matter, so the largest becomes 0 first.
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp((values - values.max()) / settings.temperature)
    if settings.top_p < 1:
        weights = _within(weights, settings.top_p)
    weights[weights < settings.min_p * weights.max()] = 0.0
    place = np.searchsorted(weights.cumsum(), random.random() * weights.sum(), side="right")
    return int(ids[min(place, np.flatnonzero(weights)[-1])])


def _penalised(
    logits: npt.NDArray[np.floating], ids: npt.NDArray[np.integer], penalty: float
) -> npt.NDArray[np.floating]:
    """Less of what was said before, as in "CTRL: A Conditional Transformer Language Model"."""
    changed = logits.astype(np.float64)
    changed[ids] = np.where(changed[ids] > 0, changed[ids] / penalty, changed[ids] * penalty)
    return changed


def _within(weights: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.float64]:
    """The largest weights that together hold a share of all; the others become 0."""
    order = np.argsort(-weights, kind="stable")
    sorted_weights = weights[order]
    mass_before = sorted_weights.cumsum() - sorted_weights
    weights[order[mass_before >= share * weights.sum()]] = 0.0
    return weights
