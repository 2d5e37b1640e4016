"""What happened, newest first."""

from __future__ import annotations

from datetime import datetime

from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    Event,
    MicroBatchReduced,
    Record,
    RolledBack,
    RunFailed,
    RunFinished,
    RunMoving,
    RunStarted,
    StepSkipped,
    TerminalLost,
)
from tui_trainer.monitor import numbers
from tui_trainer.monitor.controls import control_text
from tui_trainer.monitor.recoveries import micro_batch_text, roll_back_text, skip_text
from tui_trainer.monitor.run_setup import base_text
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.tui.lines import Line, cut, width_of
from tui_trainer.tui.widgets.run_pane import RunPane

WHAT = 15
"""Cells for what happened: the longest name of a rule, and a gap."""
ADVICE_ROLES = {"wrong": "wrong", "note": "note"}


class EventFeed(RunPane):
    """One line an event; steps are the chart's business."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if self.follower is None:
            return []
        newest = list(self.follower.state.feed)[-height:]
        return [cut(event_line(record), width) for record in reversed(newest)]


def event_line(record: Record) -> Line:
    """When something happened, and what."""
    return [(f" {datetime.fromtimestamp(record.time):%H:%M:%S}  ", "quiet"), *describe(record.event)]


def describe(event: Event) -> Line:
    """An event in a few words."""
    match event:
        case RunStarted():
            return _start(event)
        case EvaluationCompleted():
            best = "   noise" if event.is_noise else "   best" if event.is_best else ""
            return [
                *_spans("evaluated", "value", f"step {event.step:,}   val {numbers.loss(event.val_loss)}   "
                        f"perplexity {numbers.perplexity(event.val_perplexity)}"),
                (best, "good"),
            ]  # fmt: skip
        case CheckpointSaved():
            return _spans("saved", "value", f"step {event.step:,}" + ("   the best so far" if event.is_best else ""))
        case StepSkipped():
            return _spans("skipped", "note" if event.reason == "overflow" else "warning", skip_text(event))
        case RolledBack():
            return _spans("rolled back", "warning", roll_back_text(event))
        case MicroBatchReduced():
            return _spans("micro-batch", "warning", micro_batch_text(event))
        case AdviceRaised():
            return _spans(event.rule, ADVICE_ROLES.get(event.level, "warning"), event.evidence)
        case AdviceCleared():
            return _spans(event.rule, "good", "has passed")
        case ControlApplied() | ControlDiscarded():
            return _control(event)
        case RunMoving():
            return _spans("handed over", "note", f"at step {event.step:,} to a process of its own")
        case TerminalLost():
            return _spans("hung up", "note", "the terminal is gone; the training goes on without a screen")
        case RunFinished():
            return _spans(event.reason, "good", f"at step {event.step:,}")
        case RunFailed():
            return _spans("failed", "wrong", event.reason)
    return _spans(type(event).__name__, "value", "")


def _start(event: RunStarted) -> Line:
    what, where = "started", ""
    if event.resumed_from_step is not None:
        what, where = "resumed", f"from step {event.resumed_from_step:,}   "
    elif base := base_text(event):
        where = f"from {base}   "
    return _spans(
        what, "value",
        f"{where}{numbers.short(event.parameter_count)} parameters, {numbers.short(event.train_tokens)} tokens, "
        f"{event.device} {event.precision}, {numbers.counted(event.threads, 'thread')}",
    )  # fmt: skip


def _control(event: ControlApplied | ControlDiscarded) -> Line:
    """What was set, or else the action's own name, and by whom."""
    text, by = control_text(event), f"asked for by {event.requested_by}"
    what, details = (event.action, by) if text == event.action else ("set", f"{text}   {by}")
    if isinstance(event, ControlDiscarded):
        return _spans(what, "note", f"{details}   had no effect{f': {event.reason}' if event.reason else ''}")
    return _spans(what, "value", details)


def _spans(what: str, role: str, details: str) -> Line:
    name = cut([(safe_line(what).replace("_", " "), role)], WHAT - 1)
    return [*name, (" " * (WHAT - width_of(name)), ""), (safe_line(details), "label")]
