"""Evaluator: both sides of a text, measured in the same way, with as many sequences at once as memory allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tui_trainer.data.batches import EvaluationWindows
from tui_trainer.data.tokens import TokenSplit
from tui_trainer.training.evaluation import Measurement, evaluate
from tui_trainer.training.failures import OutOfMemory
from tui_trainer.training.learner import Learner
from tui_trainer.training.memory import halved, release_memory
from tui_trainer.training.updater import TooLarge, too_large

MAX_TRAIN_WINDOWS = 256
"""Enough windows for a steady figure of the train side; the validation side is always measured whole."""


class Evaluator:
    """The windows never change, so that each evaluation measures the same text."""

    def __init__(
        self, split: TokenSplit, context_length: int, rows: int, token_byte_lengths: npt.NDArray[np.integer]
    ) -> None:
        """Decides which windows.

        Args:
            split: both sides of the text.
            context_length: T, tokens in a window.
            rows: windows that are in memory at once.
            token_byte_lengths: (V,), for the bits a byte.
        """
        self.train = EvaluationWindows(split.train, context_length, rows, MAX_TRAIN_WINDOWS)
        self.val = EvaluationWindows(split.val, context_length, rows)
        self._lengths = token_byte_lengths

    def __len__(self) -> int:
        """Batches in one evaluation."""
        return len(self.train) + len(self.val)

    @property
    def rows(self) -> int:
        """Windows that are in memory at once."""
        return self.val.batch_size

    def measure(
        self, learner: Learner, on_batch: Callable[[int], None], on_fewer_rows: Callable[[str], None]
    ) -> tuple[Measurement, Measurement]:
        """The train side and the validation side.

        Args:
            learner: its model is in train mode again afterwards.
            on_batch: told before each batch how many were measured; it may raise to interrupt.
            on_fewer_rows: told what the allocator said when memory ran out and `rows` was halved.

        Raises:
            OutOfMemory: when one window at a time is too much.
        """
        while True:
            found = self._try(learner, on_batch)
            if not isinstance(found, TooLarge):
                return found
            if self.rows == 1:
                raise OutOfMemory(
                    f"out of memory in an evaluation, with one sequence at a time: {found.reason}\n"
                    "choose a smaller model.context_length or data.vocab_size; the last complete step is saved"
                )
            self.train.batch_size = self.val.batch_size = halved(self.rows)
            on_fewer_rows(found.reason)

    def _try(self, learner: Learner, on_batch: Callable[[int], None]) -> tuple[Measurement, Measurement] | TooLarge:
        done = -1

        def between_batches() -> None:
            nonlocal done
            done += 1
            on_batch(done)

        try:
            return (
                evaluate(learner, self.train, self._lengths, between_batches),
                evaluate(learner, self.val, self._lengths, between_batches),
            )
        except (RuntimeError, MemoryError) as error:
            trouble = too_large(error)
        release_memory(learner.device)  # outside the except: its traceback holds tensors
        return trouble
