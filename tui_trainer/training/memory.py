"""How much of the batch is in memory at once."""

from __future__ import annotations

import gc

import torch

from tui_trainer.config import RunConfig
from tui_trainer.errors import UserError
from tui_trainer.estimates import step_bytes, training_bytes
from tui_trainer.free_memory import free_memory_bytes

USABLE_SHARE = 0.8
"""Of the free memory: the estimate is one, and others want to live too."""


def choose_micro_batch_size(config: RunConfig, vocab_size: int, device: torch.device) -> int:
    """The configured one, else the whole batch halved until the estimate of a step fits into the free memory.

    Raises:
        UserError: when not even one sequence can fit, however wrong the estimate.
    """
    release_memory(device)
    free = free_bytes(device)
    # A save copies the weights to where the processor is: on a GPU that is no matter of its memory.
    needed = (training_bytes if device.type == "cpu" else step_bytes)(config, vocab_size, 1)
    if needed * USABLE_SHARE > free:
        raise UserError(
            f"this model needs about {needed / 1e9:,.1f} GB to train, {free / 1e9:,.1f} GB are free on {device}\n"
            "choose a smaller model.n_embd, model.n_layer, model.context_length or data.vocab_size"
        )
    if config.training.micro_batch_size:
        return config.training.micro_batch_size
    size = config.training.batch_size
    while size > 1 and step_bytes(config, vocab_size, size) > USABLE_SHARE * free:
        size = halved(size)
    return size


def halved(size: int) -> int:
    """Half, rounded up, so that the number of micro-batches at most doubles."""
    return -(-size // 2)


def free_bytes(device: torch.device) -> int:
    """What this process may still take: of the GPU, or of the machine and of its share of it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory_bytes()


def release_memory(device: torch.device) -> None:
    """Gives back what a failed attempt held; its traceback must be gone by now, for it holds tensors."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if device.type == "mps":
        torch.mps.empty_cache()
