"""How the next token is chosen: temperature, then top-k, then top-p."""

from __future__ import annotations

import torch
from torch import Tensor

from tui_trainer.errors import UserError
from tui_trainer.inference.settings import SamplingSettings


def choose_token(logits: Tensor, settings: SamplingSettings, generator: torch.Generator) -> int:
    """Draws one token id from logits (V,).

    Exactly k tokens pass top-k, ties or not; the token that crosses p passes top-p, so at least one does ("The
    Curious Case of Neural Text Degeneration").

    Raises:
        UserError: when the logits are not finite: the model has diverged.
    """
    if not bool(torch.isfinite(logits).all()):
        raise UserError("the model answers with NaN: it has diverged; choose an earlier checkpoint")
    if settings.temperature == 0:
        return int(logits.argmax())
    count = min(settings.top_k or logits.numel(), logits.numel())
    values, ids = torch.topk(logits.float(), count)
    # Dividing by a tiny temperature must not overflow: only differences matter, so the largest becomes 0 first.
    probabilities = torch.softmax((values - values[0]).double() / settings.temperature, dim=0)
    if settings.top_p < 1:
        mass_before = probabilities.cumsum(0) - probabilities
        probabilities = torch.where(mass_before < settings.top_p, probabilities, 0.0)
        probabilities[0] = probabilities[0].clamp_min(torch.finfo(torch.float64).tiny)
    choice = torch.multinomial(probabilities, 1, generator=generator)
    return int(ids[choice])
