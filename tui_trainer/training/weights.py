"""Weights by their names: which they are, and how far they moved."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor

ALL_WEIGHTS = "all weights"
PARTS = {
    "embeddings": ("wte.", "wpe."),
    "attention": (".attention.",),
    "feed-forward": (".feed_forward.",),
    "norms": ("_norm.",),
    "head": ("head.",),
}
"""The parts of a network, by what the names of their weights contain."""


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """The sha256 over names and values, as hexadecimal digits: equal weights have equal ones."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().float().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def relative_changes(base: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> dict[str, float]:
    """‖tuned - base‖ / ‖base‖ of all weights and of each part; positions that were cropped are left out.

    Empty when the two are of different shapes, which no number could compare.
    """
    if base.keys() != tuned.keys():
        return {}
    squares = {}
    for name, now in tuned.items():
        before = base[name][: len(now)] if name.startswith("wpe.") else base[name]
        if before.shape != now.shape:
            return {}
        squares[name] = ((now.double() - before.double()).square().sum().item(), before.double().square().sum().item())
    named = {
        part: [square for name, square in squares.items() if any(sign in name for sign in signs)]
        for part, signs in PARTS.items()
    }
    return {part: _ratio(pairs) for part, pairs in {ALL_WEIGHTS: [*squares.values()], **named}.items() if pairs}


def _ratio(pairs: list[tuple[float, float]]) -> float:
    moved, length = (math.sqrt(math.fsum(side)) for side in zip(*pairs, strict=True))
    return moved / length if length else math.inf if moved else 0.0
