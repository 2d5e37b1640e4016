"""The random numbers of a training: torch's global generators, and nothing else draws from them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def capture(device: torch.device) -> dict[str, Tensor]:
    """The state of the generators that dropout on this device draws from."""
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["random.mps"] = torch.mps.get_rng_state()
    return states


def restore(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Puts back what `capture` took; a state of another kind of device is passed over."""
    if "random.cpu" in states:
        torch.set_rng_state(states["random.cpu"])
    if device.type == "cuda" and "random.cuda" in states:
        torch.cuda.set_rng_state(states["random.cuda"], device)
    if device.type == "mps" and "random.mps" in states:
        torch.mps.set_rng_state(states["random.mps"])
