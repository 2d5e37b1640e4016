"""Tokens to batches of windows. Nothing here has a state that a resume would have to restore.

The order of the training windows is a permutation that (seed, epoch) decides, so the batch of a step is the
same whoever asks, in whatever order. The evaluation windows never change and touch no random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tui_trainer.config import RunConfig
from tui_trainer.data.tokens import TokenSplit
from tui_trainer.errors import UserError

REPEATED_BYTES_PER_TOKEN = 64
"""Text that people wrote has 2 to 6; the longest words and rows of signs, below 20."""

Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""x and y, each (B, T); y is x moved on by one token."""


class TrainingWindows:
    """Windows of T tokens and the token after them, `stride` apart, in a new order each epoch.

    Every epoch starts at an offset of its own below the stride, so that a token does not always stand at the
    same place of its window; the last window moves back to end with the text.
    """

    def __init__(
        self, tokens: npt.NDArray[np.unsignedinteger], context_length: int, stride: int, batch_size: int, seed: int
    ) -> None:
        """Counts the windows; draws nothing yet.

        Args:
            tokens: the training side, (N,), with N above `context_length`: `check_lengths` makes sure.
            context_length: T.
            stride: tokens between the starts of two windows.
            batch_size: B, windows in one step.
            seed: decides the order.
        """
        self._tokens = tokens
        self._context_length = context_length
        self._stride = stride
        self._batch_size = batch_size
        self._seed = seed
        self._last_start = len(tokens) - context_length - 1
        self._orders: dict[int, tuple[npt.NDArray[np.unsignedinteger], int]] = {}
        self.count = self._last_start // stride + 1
        """Windows in an epoch."""
        self.steps_per_epoch = self.count / batch_size

    def steps_for(self, epochs: int) -> int:
        """Steps until every window was seen `epochs` times."""
        return -(-epochs * self.count // self._batch_size)

    def epoch_of(self, step: int) -> int:
        """The epoch, counted from 1, of the first window of a step, counted from 1; batches may straddle epochs."""
        return (step - 1) * self._batch_size // self.count + 1

    def is_epoch_end(self, step: int) -> bool:
        """Whether a step takes the last window of an epoch."""
        return step * self._batch_size // self.count > (step - 1) * self._batch_size // self.count

    def batch(self, step: int) -> Batch:
        """The windows of a step, counted from 1: x and y, each (B, T) int64."""
        first = (step - 1) * self._batch_size
        starts = [self._start(example) for example in range(first, first + self._batch_size)]
        return _read_windows(self._tokens, starts, self._context_length)

    def _start(self, example: int) -> int:
        epoch, position = divmod(example, self.count)
        order, offset = self._order(epoch)
        return min(int(order[position]) * self._stride + offset, self._last_start)

    def _order(self, epoch: int) -> tuple[npt.NDArray[np.unsignedinteger], int]:
        """The order of the windows of an epoch, counted from 0, (count,), and the offset of its first one."""
        if epoch not in self._orders:
            # At most two stay: a batch straddles from one epoch into the next.
            self._orders = {known: order for known, order in self._orders.items() if known == epoch - 1}
            generator = np.random.Generator(np.random.PCG64([self._seed, epoch]))
            offset = int(generator.integers(self._stride))
            windows = np.arange(self.count, dtype=np.uint32 if self.count < 2**32 else np.uint64)
            self._orders[epoch] = generator.permutation(windows), offset
        return self._orders[epoch]


class EvaluationWindows:
    """Windows side by side, in the order of the text: every token but the first is a target exactly once."""

    def __init__(
        self,
        tokens: npt.NDArray[np.unsignedinteger],
        context_length: int,
        batch_size: int,
        limit: int | None = None,
    ) -> None:
        """Decides which windows.

        Args:
            tokens: (N,), at least 2.
            context_length: T.
            batch_size: windows in one batch, at most.
            limit: only so many windows, evenly spread and always the same; None: all of the text.
        """
        full, tail = divmod(max(len(tokens) - 1, 0), context_length)
        is_whole = limit is None or limit >= full + bool(tail)
        count = full if is_whole or limit is None else limit
        self._tokens = tokens
        self._context_length = context_length
        self.batch_size = batch_size
        """Windows in one batch, at most; it may change between two passes."""
        self._tail = tail if is_whole else 0
        self._starts = np.arange(count) * full // max(count, 1) * context_length
        self.target_count = count * context_length + self._tail
        """Targets in one pass over all batches."""

    def __len__(self) -> int:
        return -(-len(self._starts) // self.batch_size) + bool(self._tail)

    def __iter__(self) -> Iterator[Batch]:
        """Yields x and y, each (b, t) int64: t is T but for the rest of the text, which is a batch of its own."""
        for first in range(0, len(self._starts), self.batch_size):
            starts = self._starts[first : first + self.batch_size].tolist()
            yield _read_windows(self._tokens, starts, self._context_length)
        if self._tail:
            yield _read_windows(self._tokens, [len(self._tokens) - 1 - self._tail], self._tail)


def check_lengths(split: TokenSplit, config: RunConfig, corpus_name: str) -> None:
    """Makes sure that there is a window to train on and a token to evaluate.

    Raises:
        UserError: with both numbers and what to change.
    """
    needed, found = config.model.context_length + 1, len(split.train)
    fraction = config.data.val_fraction
    if found < needed:
        remedy = f"{_shorter_context(found)}use more text, or lower data.val_fraction = {fraction:g}"
        if repetition := explain_repetition(split, config):
            remedy = ": ".join(repetition)
        raise UserError(
            f"{corpus_name}: the training part has {found} tokens, context_length = {needed - 1} needs {needed}\n"
            f"{remedy}"
        )
    if len(split.val) < 2:
        raise UserError(
            f"{corpus_name}: the validation part has {len(split.val)} tokens, at least 2 are needed\n"
            f"raise data.val_fraction = {fraction:g}, or use more text"
        )


def explain_repetition(split: TokenSplit, config: RunConfig) -> tuple[str, str] | None:
    """What bpe made of a text that it packed into a few long tokens, and a remedy; None for any other text."""
    tokens, size = len(split.train) + len(split.val), split.train_bytes + split.val_bytes
    if config.data.tokenizer != "bpe" or size < REPEATED_BYTES_PER_TOKEN * tokens:
        return None
    evidence = f"the text repeats itself, so that bpe made {tokens:,} tokens of its {size:,} bytes"
    return evidence, 'use data.tokenizer = "char" or "bytes"'


def _shorter_context(train_tokens: int) -> str:
    return f"set model.context_length to at most {train_tokens - 1}, " if train_tokens > 1 else ""


def _read_windows(tokens: npt.NDArray[np.unsignedinteger], starts: list[int], length: int) -> Batch:
    """The tokens from each start, and those one further on, each (len(starts), length)."""
    windows = np.empty((len(starts), length + 1), np.int64)
    for row, start in enumerate(starts):
        windows[row] = tokens[start : start + length + 1]
    return windows[:, :-1].copy(), windows[:, 1:].copy()
