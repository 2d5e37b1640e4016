"""With which numbers a run computes, and why.

bf16 has the range of fp32 and needs no care. fp16 has not: the loss is scaled up before the backward pass so that
small gradients do not become 0, as "Mixed Precision Training" has it. Weights and optimizer stay in fp32.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from tui_trainer.errors import UserError

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """`name` is fp32, bf16 or fp16; `reason` says in a few words why."""

    name: str
    reason: str = ""

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """The context in which the forward pass runs."""
        if self.name in TYPES:
            return torch.autocast(device.type, dtype=TYPES[self.name])
        return nullcontext()

    def make_scaler(self, device: torch.device) -> torch.amp.GradScaler:
        """Scales the loss in fp16; in every other precision it passes everything through."""
        return torch.amp.GradScaler(device.type, enabled=self.name == "fp16")


FP32 = Precision("fp32")


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision of a run; `auto` is decided by what the device computes, never by a measurement.

    Raises:
        UserError: when the device cannot compute it.
    """
    if name == "auto":
        return _choose_for(device)
    if name in TYPES and device.type == "mps":
        raise UserError(f'[training] precision = "{name}": not on mps; use "fp32" or "auto"')
    return Precision(name, "as asked for")


def _choose_for(device: torch.device) -> Precision:
    if device.type != "cuda":
        return Precision("fp32", f"auto: {'a CPU' if device.type == 'cpu' else device.type} gains little from less")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision("bf16", "auto: this GPU computes bf16")
    return Precision("fp16", "auto: this GPU computes no bf16; the loss is scaled")
