"""Evaluation: the loss of text, measured once a token in eval mode and summed exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from tui_trainer.model import GPT
from tui_trainer.training.precision import Precision

Batch = tuple["np.ndarray", "np.ndarray"]


@dataclass(frozen=True)
class Measurement:
    """Sums over all target tokens; the figures people read are ratios of them."""

    nats: float
    correct: int
    tokens: int
    bytes: int
    squared_nats: float = 0.0

    @property
    def loss(self) -> float:
        """Cross-entropy in nats a token."""
        return self.nats / self.tokens

    @property
    def loss_error(self) -> float:
        """The standard error of the loss, in nats, as if the tokens were independent."""
        variance = max(0.0, self.squared_nats / self.tokens - self.loss**2)
        return math.sqrt(variance / self.tokens)

    @property
    def perplexity(self) -> float:
        """exp(loss): among how many tokens the model still chooses, on average."""
        return perplexity_of(self.loss)

    @property
    def accuracy(self) -> float:
        """Share of the tokens that were the model's first choice, 0 to 1."""
        return self.correct / self.tokens

    @property
    def bits_per_byte(self) -> float:
        """Bits a byte of text, which compares models whatever their tokenizers."""
        return self.nats / (math.log(2) * self.bytes) if self.bytes else math.nan


def perplexity_of(loss: float) -> float:
    """exp(loss), infinite where a float cannot hold it."""
    return math.exp(loss) if loss < 700 else math.inf


class Measured(Protocol):
    """A model and how it computes; a `Learner` is one."""

    @property
    def model(self) -> GPT: ...

    @property
    def precision(self) -> Precision: ...

    @property
    def device(self) -> torch.device: ...


@torch.inference_mode()
def evaluate(
    measured: Measured,
    batches: Iterable[Batch],
    token_byte_lengths: np.ndarray,
    between_batches: Callable[[], None],
) -> Measurement:
    """Measures the model on batches of (inputs, targets), each int64 (b, t).

    The model is in train mode again afterwards. `between_batches` may raise to interrupt.
    """
    model, device = measured.model, measured.device
    nats, squared_nats, correct, tokens, byte_count = 0.0, 0.0, 0, 0, 0
    model.eval()
    try:
        for inputs, targets in batches:
            between_batches()
            expected = torch.from_numpy(targets).to(device).flatten()
            with measured.precision.autocast(device):
                logits = model(torch.from_numpy(inputs).to(device)).flatten(0, 1)
            losses = F.cross_entropy(logits.float(), expected, reduction="none")
            nats += losses.sum().item()
            squared_nats += losses.square().sum().item()
            correct += int((logits.argmax(-1) == expected).sum())
            tokens += targets.size
            byte_count += int(token_byte_lengths[targets].sum())
    finally:
        model.train()
    return Measurement(nats, correct, tokens, byte_count, squared_nats)
