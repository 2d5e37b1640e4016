"""How a run stands, and what a person can do next: the same for every part of the screen."""

from __future__ import annotations

from enum import Enum

from tui_trainer.events import RunFailed, RunFinished
from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.monitor.run_state import RunState
from tui_trainer.runs.status import Status


class Standing(Enum):
    """What a run is doing, or how it ended."""

    STARTING = "starting"
    TRAINING = "training"
    PAUSED = "paused"
    MOVING = "moving to another process"
    COMPLETED = "completed"
    STOPPED = "stopped"
    STOPPED_EARLY = "early stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Its process died: nobody trains it, and its log has no end."""

    @property
    def is_over(self) -> bool:
        """Whether nobody trains it any more."""
        return self in OVER


OVER = frozenset({Standing.COMPLETED, Standing.STOPPED, Standing.STOPPED_EARLY, Standing.FAILED, Standing.INTERRUPTED})
ENDINGS = {"completed": Standing.COMPLETED, "early_stopped": Standing.STOPPED_EARLY}
ALIVE_STEPS = (("p", "ask the best"), ("r", "rate"), ("m", "last step"), ("space", "pause"), ("x", "stop"))
PAUSED_STEPS = (("space", "continue"), ("p", "ask the best"), ("r", "rate"), ("x", "stop"))
OVER_STEPS = {
    Standing.COMPLETED: (("p", "ask the best"), ("m", "train longer"), ("n", "start again")),
    Standing.STOPPED: (("r", "resume"), ("p", "ask the best"), ("m", "train longer"), ("n", "start again")),
    Standing.STOPPED_EARLY: (("p", "ask the best"), ("n", "start again"), ("v", "why it stopped")),
    Standing.FAILED: (("v", "why it failed"), ("r", "resume from the last checkpoint"), ("n", "start again")),
    Standing.INTERRUPTED: (("r", "resume from the last checkpoint"), ("p", "ask the best"), ("n", "start again")),
}


def standing_of(state: RunState, status: Status | None, now: float) -> Standing:
    """How a run stands at `now`, in Unix seconds."""
    if isinstance(state.ended, RunFailed):
        return Standing.FAILED
    if isinstance(state.ended, RunFinished):
        return ENDINGS.get(state.ended.reason, Standing.STOPPED)
    liveness = judge(status, now)
    if liveness is Liveness.DEAD:
        return Standing.INTERRUPTED
    if liveness is Liveness.ENDED and status and status.state == "failed":  # on a full disk the log has no end
        return Standing.FAILED
    if state.is_moving:
        return Standing.MOVING
    if state.paused:
        return Standing.PAUSED
    return Standing.TRAINING if state.started else Standing.STARTING


def next_steps(standing: Standing, *, may_steer: bool, has_checkpoint: bool) -> list[tuple[str, str]]:
    """Keys and what they do, the most useful first.

    Args:
        standing: of the run.
        may_steer: whether this screen may do more than watch.
        has_checkpoint: whether a prompt can be answered.
    """
    if standing.is_over:
        steps = OVER_STEPS[standing]
    elif standing in (Standing.TRAINING, Standing.PAUSED):
        steps = PAUSED_STEPS if standing is Standing.PAUSED else ALIVE_STEPS
    else:
        steps = ()
    shown = [(key, words) for key, words in steps if key in "pv" or may_steer]
    return [(key, words) for key, words in shown if key != "p" or has_checkpoint] + (
        [] if may_steer else [("q", "leave")]
    )
