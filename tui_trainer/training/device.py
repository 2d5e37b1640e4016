"""On what the run computes, and with which numbers."""

from __future__ import annotations

import resource
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

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


def choose_precision(name: str, device: torch.device) -> str:
    """fp32 or bf16; `auto` is bf16 only on CUDA hardware that computes it, and never a matter of speed on a CPU.

    Raises:
        UserError: when the device cannot compute it.
    """
    if name == "auto":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if name == "bf16" and device.type == "mps":
        raise UserError('[training] precision = "bf16": not on mps; use "fp32" or "auto"')
    return name


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which the forward pass runs."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory so far: of the GPU where there is one, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
