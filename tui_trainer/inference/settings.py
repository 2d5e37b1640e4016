"""What a person sets for sampling, checked. Free of torch, so that the screen can check it too."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tui_trainer.config import SamplingConfig
from tui_trainer.errors import UserError

MAX_PENALTY = 100.0


@dataclass(frozen=True)
class SamplingSettings:
    """Repetition penalty, temperature, then top-k, top-p and min-p; `seed` None draws a new one each time.

    Raises:
        UserError: naming the setting and what it may be.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    max_new_tokens: int = 120
    seed: int | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UserError(f"temperature = {self.temperature:g}: must be 0 (always the likeliest token) or more")
        if self.top_k < 0:
            raise UserError(f"top-k = {self.top_k}: must be 0 (all tokens) or more")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top-p = {self.top_p:g}: must be above 0 and at most 1 (all tokens)")
        if not 0 <= self.min_p <= 1:
            raise UserError(f"min-p = {self.min_p:g}: must be at least 0 (all tokens) and at most 1")
        if not 1 / MAX_PENALTY <= self.repetition_penalty <= MAX_PENALTY:
            limits = f"{1 / MAX_PENALTY:g} to {MAX_PENALTY:g}"
            raise UserError(f"repetition penalty = {self.repetition_penalty:g}: must be {limits}; 1 changes nothing")
        if not all(self.stop):
            raise UserError("stop: must not be empty; leave it out to stop at the last token only")
        if self.max_new_tokens < 1:
            raise UserError(f"max new tokens = {self.max_new_tokens}: must be at least 1")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise UserError(f"seed = {self.seed}: must be 0 or more, below 2^63")


def settings_from(config: SamplingConfig) -> SamplingSettings:
    """The settings a run's configuration asks for."""
    return SamplingSettings(
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        max_new_tokens=config.max_new_tokens,
        min_p=config.min_p,
        repetition_penalty=config.repetition_penalty,
    )
