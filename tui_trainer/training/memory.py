"""How much of the batch is in memory at once."""

from __future__ import annotations

import gc
from pathlib import Path

import psutil
import torch

from tui_trainer.config import RunConfig
from tui_trainer.errors import UserError
from tui_trainer.estimates import training_bytes

USABLE_SHARE = 0.8
"""Of the free memory: the estimate is one, and others want to live too."""


def choose_micro_batch_size(config: RunConfig, vocab_size: int, device: torch.device) -> int:
    """The configured one, else the whole batch halved until its estimate fits into the free memory.

    Raises:
        UserError: when not even one sequence can fit, however wrong the estimate.
    """
    free = free_bytes(device)
    if training_bytes(config, vocab_size, 1) * USABLE_SHARE > free:
        needed = training_bytes(config, vocab_size, 1)
        raise UserError(
            f"this model needs about {needed / 1e9:,.1f} GB to train, {free / 1e9:,.1f} GB are free on {device}\n"
            "choose a smaller model.n_embd, model.n_layer, model.context_length or data.vocab_size"
        )
    if config.training.micro_batch_size:
        return config.training.micro_batch_size
    size = config.training.batch_size
    while size > 1 and training_bytes(config, vocab_size, size) > USABLE_SHARE * free:
        size = halved(size)
    return size


def halved(size: int) -> int:
    """Half, rounded up, so that the number of micro-batches at most doubles."""
    return -(-size // 2)


def free_bytes(device: torch.device) -> int:
    """What this process may still take: of the GPU, or of the machine and of its share of it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    limit = _control_group_bytes("memory.max")
    used = _control_group_bytes("memory.current")
    return free if limit is None or used is None else min(free, max(0, limit - used))


def _control_group_bytes(name: str) -> int | None:
    """A figure of the container this runs in, or None when there is none."""
    try:
        return int((Path("/sys/fs/cgroup") / name).read_text())
    except (OSError, ValueError):
        return None


def release_memory(device: torch.device) -> None:
    """Gives back what a failed attempt held; its traceback must be gone by now, for it holds tensors."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if device.type == "mps":
        torch.mps.empty_cache()
