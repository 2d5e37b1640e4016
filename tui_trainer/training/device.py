"""On what the run computes."""

from __future__ import annotations

import resource
import sys

import torch

from tui_trainer.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device that a name asks for; `auto` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        UserError: when that device is not here.
    """
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if is_here(kind))
    if name not in ("cpu", "cuda", "mps"):
        raise UserError(f"--device {name}: must be auto, cpu, cuda or mps")
    if not is_here(name):
        raise UserError(f"--device {name}: torch sees none on this machine; use --device auto or cpu")
    return torch.device(name)


def is_here(kind: str) -> bool:
    """Whether torch can compute on this kind of device here."""
    return kind == "cpu" or (
        torch.cuda.is_available() if kind == "cuda" else kind == "mps" and torch.backends.mps.is_available()
    )


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory so far: of the GPU where there is one, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
