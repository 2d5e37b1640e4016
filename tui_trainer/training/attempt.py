"""Attempts: an update that may not fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui_trainer.data.batches import Batch
from tui_trainer.training import random_state
from tui_trainer.training.failures import is_out_of_memory
from tui_trainer.training.learner import Learner
from tui_trainer.training.memory import release_memory
from tui_trainer.training.step import Outcome, Skipped, update


@dataclass(frozen=True)
class TooLarge:
    """Memory ran out; all is as it was before the attempt. `reason` is what the allocator said, in one line."""

    reason: str


def attempt_update(
    learner: Learner,
    batch: Batch,
    learning_rate: float,
    grad_clip: float,
    micro_batch_size: int,
    between_micro_batches: Callable[[], None],
) -> Outcome | Skipped | TooLarge:
    """One update; unless it succeeds, weights, optimizer and random numbers are as before, whatever happens."""
    before = random_state.capture(learner.device)
    outcome: Outcome | Skipped | TooLarge | None = None
    try:
        outcome = update(learner, batch, learning_rate, grad_clip, micro_batch_size, between_micro_batches)
    except (RuntimeError, MemoryError) as error:
        outcome = too_large(error)
    finally:
        if not isinstance(outcome, Outcome):
            random_state.restore(before, learner.device)
    if isinstance(outcome, TooLarge):
        # Only here, outside the except: until then the traceback holds the tensors that are in the way.
        learner.optimizers.zero_grad()
        release_memory(learner.device)
    return outcome


def too_large(error: RuntimeError | MemoryError) -> TooLarge:
    """What to say of a failed allocation; whatever else it is, is raised again."""
    if not is_out_of_memory(error):
        raise error
    return TooLarge((str(error).splitlines() or ["no memory"])[0][:200])
