"""Two models side by side: what each makes of the same text and of the same prompts, and how far one moved."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Literal

import torch

from tui_trainer.data.batches import EvaluationWindows
from tui_trainer.data.tokenizers import Tokenizer
from tui_trainer.data.tokens import TokenSplit
from tui_trainer.errors import UserError
from tui_trainer.estimates import EVALUATION_LOGITS, EVALUATION_TOKENS
from tui_trainer.inference.continuation import Continuation, write_next
from tui_trainer.inference.decoder import Decoder
from tui_trainer.inference.generator import EMPTY_PROMPT
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.model import GPT
from tui_trainer.training.base import load_base
from tui_trainer.training.evaluation import Measurement, evaluate
from tui_trainer.training.precision import FP32
from tui_trainer.training.weights import ALL_WEIGHTS, fingerprint, relative_changes

__all__ = ["ALL_WEIGHTS", "Compared", "changes_between"]

MAX_TOKENS = 1 << 18
"""Of a validation side: enough for a steady figure, and a GPT-2 reads them within minutes on a processor."""


class Compared:
    """One of the two, on the CPU and in fp32, so that both compute alike. It is a `Measured`."""

    precision = FP32
    device = torch.device("cpu")

    def __init__(self, path: Path, which: Literal["best", "last"] | int = "best") -> None:
        """Reads it.

        Args:
            path: a run or a folder with a model.
            which: the checkpoint of a run.

        Raises:
            UserError: when it cannot be used.
        """
        base = load_base(path, which)
        self.name, self.step, self.notices = base.name, base.step, [notice.evidence for notice in base.notices]
        self.tokenizer: Tokenizer = base.tokenizer
        self.weights = base.weights
        self._decoder: Decoder | None = None
        with torch.device("meta"):  # nothing is drawn for weights that are there already
            self.model = GPT(base.model, base.tokenizer.vocab_size)
        self.model.load_state_dict(base.weights, assign=True)
        self.model.eval().requires_grad_(requires_grad=False)

    @property
    def context_length(self) -> int:
        """Tokens it sees at once."""
        return self.model.config.context_length

    @property
    def fingerprint(self) -> str:
        """The sha256 of its weights."""
        return fingerprint(self.weights)

    def measure(self, split: TokenSplit, context_length: int) -> Measurement:
        """How well it reads the validation side of a text, in windows of so many tokens, evenly spread in a long one.

        Raises:
            UserError: when that side is too short.
        """
        if len(split.val) < 2:
            raise UserError(f"the validation part has {len(split.val)} tokens, at least 2 are needed")
        tokens = min(EVALUATION_TOKENS, EVALUATION_LOGITS // self.tokenizer.vocab_size)
        limit = max(1, MAX_TOKENS // context_length)
        windows = EvaluationWindows(split.val, context_length, max(1, tokens // context_length), limit)
        measurement = evaluate(self, windows, self.tokenizer.token_byte_lengths, lambda: None)
        self.model.eval()
        return measurement

    def write(self, prompt: str, settings: SamplingSettings) -> str:
        """What it makes of a prompt; with a seed always the same."""
        if self._decoder is None:
            weights = {name: tensor.numpy() for name, tensor in self.weights.items()}
            self._decoder = Decoder(weights, self.model.config, self.tokenizer.vocab_size)
        ids = self.tokenizer.encode_prompt(prompt or EMPTY_PROMPT)[0]
        texts = [Continuation(self._decoder, ids, settings)]
        tokens = (write_next(self._decoder, texts)[0] for _ in range(settings.max_new_tokens))
        # A token that stands for no text is the end of one, as GPT-2's.
        return self.tokenizer.decode(list(takewhile(lambda token: self.tokenizer.token_byte_lengths[token], tokens)))


def changes_between(base: Compared, tuned: Compared) -> dict[str, float]:
    """‖tuned - base‖ / ‖base‖ of all weights and of each part; empty when they are of different shapes."""
    return relative_changes(base.weights, tuned.weights)
