"""How the next token is chosen: temperature, then top-k, then top-p."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_trainer.config import SamplingConfig
from tui_trainer.errors import UserError


@dataclass(frozen=True)
class SamplingSettings:
    """What a person sets; `seed` None draws a new one each time.

    Raises:
        UserError: naming the setting and what it may be.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    max_new_tokens: int = 120
    seed: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UserError(f"temperature = {self.temperature:g}: must be 0 (always the likeliest token) or more")
        if self.top_k < 0:
            raise UserError(f"top-k = {self.top_k}: must be 0 (all tokens) or more")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top-p = {self.top_p:g}: must be above 0 and at most 1 (all tokens)")
        if self.max_new_tokens < 1:
            raise UserError(f"max new tokens = {self.max_new_tokens}: must be at least 1")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise UserError(f"seed = {self.seed}: must be 0 or more, below 2^63")


def settings_from(config: SamplingConfig) -> SamplingSettings:
    """The settings a run's configuration asks for."""
    return SamplingSettings(config.temperature, config.top_k, config.top_p, config.max_new_tokens)


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
