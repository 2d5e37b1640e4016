"""Updater: one optimizer update, with as many sequences in memory at once as fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui_trainer.data.batches import Batch
from tui_trainer.training import random_state
from tui_trainer.training.failures import OutOfMemory, is_out_of_memory
from tui_trainer.training.learner import Learner
from tui_trainer.training.memory import halved, release_memory
from tui_trainer.training.step import Outcome, Skipped, update


@dataclass(frozen=True)
class TooLarge:
    """Memory ran out; all is as it was before the attempt. `reason` is what the allocator said, in one line."""

    reason: str


class Updater:
    """Makes the update of a step, again and again if need be: the batch stays, fewer of its rows are there at once."""

    def __init__(self, learner: Learner, micro_batch_size: int) -> None:
        """Updates nothing yet."""
        self._learner = learner
        self.micro_batch_size = micro_batch_size

    def update(
        self,
        batch: Batch,
        learning_rate: float,
        grad_clip: float,
        between_micro_batches: Callable[[], None],
        on_overflow: Callable[[Skipped], None],
        on_smaller: Callable[[str], None],
    ) -> Outcome | Skipped:
        """Tries until the update is made or trying again cannot help.

        Args:
            batch: x and y, each (B, T).
            learning_rate: of this step.
            grad_clip: the largest gradient norm; 0: no limit.
            between_micro_batches: may raise to interrupt; then all is as it was.
            on_overflow: told of each attempt whose scaled gradients were too large for fp16.
            on_smaller: told what the allocator said when memory ran out and `micro_batch_size` was halved.

        Raises:
            OutOfMemory: when one sequence at a time is too much.
        """
        while True:
            found = self._try(batch, learning_rate, grad_clip, between_micro_batches)
            if isinstance(found, TooLarge):
                self._reduce(found.reason)
                on_smaller(found.reason)
            elif isinstance(found, Skipped) and found.is_overflow:
                on_overflow(found)
            else:
                return found

    def _reduce(self, reason: str) -> None:
        if self.micro_batch_size == 1:
            context_length = self._learner.model.config.context_length
            raise OutOfMemory(
                f"out of memory in a step, with one sequence at a time: {reason}\n"
                f"choose a smaller model.context_length than {context_length}, or a smaller model;\n"
                "the last complete step is saved"
            )
        self.micro_batch_size = halved(self.micro_batch_size)

    def _try(
        self, batch: Batch, learning_rate: float, grad_clip: float, between_micro_batches: Callable[[], None]
    ) -> Outcome | Skipped | TooLarge:
        """One attempt; unless it succeeds, weights, optimizer and random numbers are as before, whatever happens."""
        learner = self._learner
        before = random_state.capture(learner.device)
        found: Outcome | Skipped | TooLarge | None = None
        try:
            found = update(learner, batch, learning_rate, grad_clip, self.micro_batch_size, between_micro_batches)
        except (RuntimeError, MemoryError) as error:
            found = too_large(error)
        finally:
            if not isinstance(found, Outcome):
                random_state.restore(before, learner.device)
        if isinstance(found, TooLarge):
            # Only here, outside the except: until then the traceback holds the tensors that are in the way.
            learner.optimizers.zero_grad()
            learner.renew_scaler()
            release_memory(learner.device)
        return found


def too_large(error: RuntimeError | MemoryError) -> TooLarge:
    """What to say of a failed allocation; whatever else it is, is raised again."""
    if not is_out_of_memory(error):
        raise error
    return TooLarge((str(error).splitlines() or ["no memory"])[0][:200])
