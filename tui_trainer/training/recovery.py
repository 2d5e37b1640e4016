"""Recovery: back to the last checkpoint, and how often that may be needed before a run ends."""

from __future__ import annotations

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.training.failures import Diverged
from tui_trainer.training.learner import Learner
from tui_trainer.training.progress import Progress

MAX_SKIPS = 3
"""So many skipped batches within `SKIP_WINDOW` steps are no matter of the batches any more."""
MAX_ROLL_BACKS = 3
RATE_CUT = 0.5
SMALLEST_FACTOR = RATE_CUT**6
"""A run that needs less of its rate than this learns next to nothing."""


def go_back(store: CheckpointStore, learner: Learner, progress: Progress, reason: str) -> Progress:
    """Puts weights, optimizer and random numbers back; returns a progress with other batches and half the rate ahead.

    Raises:
        Diverged: when there is nothing to go back to, or it has been tried often enough.
    """
    if store.pointer("last") is None:
        raise Diverged(f"{reason}, before there was anything to go back to")
    if progress.rollbacks >= MAX_ROLL_BACKS or progress.learning_rate_factor <= SMALLEST_FACTOR:
        rate = f"{progress.learning_rate_factor:g} of the planned learning rate"
        raise Diverged(f"{reason}; going back to the last checkpoint, in the end with {rate}, did not help")
    checkpoint = store.load("last")
    learner.load(checkpoint.tensors, checkpoint.state.get("scaler", {}))
    return progress.go_back_to(Progress.from_state(checkpoint.state["progress"]), RATE_CUT)
