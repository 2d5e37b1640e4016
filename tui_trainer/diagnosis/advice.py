"""What a rule says, and which saying makes which other one superfluous."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """What a rule found; `level` is note, warning or wrong."""

    rule: str
    level: str
    evidence: str
    remedy: str
    values: dict[str, float]


SILENCED_BY: Mapping[str, tuple[str, ...]] = {
    "learning_rate_high": ("divergence",),
    "gradient_norm": ("divergence", "learning_rate_high"),
    "overfitting": ("divergence", "validation_noise"),
    "memorization": ("divergence", "overfitting"),
    "generalization_gap": ("divergence", "validation_noise", "overfitting", "memorization"),
    "learning_rate_low": ("divergence",),
    "plateau": (
        "divergence",
        "validation_noise",
        "learning_rate_high",
        "learning_rate_low",
        "overfitting",
        "generalization_gap",
    ),
    "repetition": ("divergence", "learning_rate_high", "learning_rate_low", "plateau"),
    "model_size": ("divergence", "overfitting", "memorization", "generalization_gap"),
}
"""Rule: the rules that say the same thing nearer to its cause, so that a person reads one thing to do first."""


def without_silenced(found: Mapping[str, Advice]) -> dict[str, Advice]:
    """The advice to show, by rule. A note silences notes only."""
    return {rule: advice for rule, advice in found.items() if not _is_silenced(advice, found)}


def _is_silenced(advice: Advice, found: Mapping[str, Advice]) -> bool:
    causes = [found[rule] for rule in SILENCED_BY.get(advice.rule, ()) if rule in found]
    return any(advice.level == "note" or cause.level != "note" for cause in causes)
