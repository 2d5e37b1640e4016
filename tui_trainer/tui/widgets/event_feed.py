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
    Record,
    RunFailed,
    RunFinished,
    RunStarted,
)
from tui_trainer.monitor import numbers
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.tui.lines import Line, cut
from tui_trainer.tui.widgets.run_pane import RunPane


class EventFeed(RunPane):
    """One line an event; steps are the chart's business."""

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if self.follower is None:
            return []
        newest = list(self.follower.state.feed)[-height:]
        return [cut(_line(record), width) for record in reversed(newest)]


def _line(record: Record) -> Line:
    return [(f" {datetime.fromtimestamp(record.time):%H:%M:%S}  ", "quiet"), *describe(record.event)]


def describe(event: Event) -> Line:
    """An event in a few words."""
    match event:
        case RunStarted():
            verb = "started" if event.resumed_from_step is None else f"resumed from step {event.resumed_from_step:,}"
            return _spans(
                verb, "value",
                f"{numbers.short(event.parameter_count)} parameters, {numbers.short(event.train_tokens)} tokens, "
                f"{event.device} {event.precision}, {event.threads} threads",
            )  # fmt: skip
        case EvaluationCompleted():
            best = "   best" if event.is_best else ""
            return [
                *_spans("evaluated", "value", f"step {event.step:,}   val {numbers.loss(event.val_loss)}   "
                        f"perplexity {numbers.perplexity(event.val_perplexity)}"),
                (best, "good"),
            ]  # fmt: skip
        case CheckpointSaved():
            return _spans("saved", "value", f"step {event.step:,}" + ("   the best so far" if event.is_best else ""))
        case AdviceRaised():
            role = "wrong" if event.level == "wrong" else "warning"
            return _spans(event.rule, role, safe_line(event.evidence))
        case AdviceCleared():
            return _spans(event.rule, "good", "has passed")
        case ControlApplied():
            return _spans(safe_line(event.action), "value", f"asked for by {safe_line(event.requested_by)}")
        case ControlDiscarded():
            return _spans(
                safe_line(event.action), "note", f"had no effect, asked for by {safe_line(event.requested_by)}"
            )
        case RunFinished():
            return _spans(event.reason.replace("_", " "), "good", f"at step {event.step:,}")
        case RunFailed():
            return _spans("failed", "wrong", safe_line(event.reason))
    return _spans(type(event).__name__, "value", "")


def _spans(what: str, role: str, details: str) -> Line:
    return [(f"{what:<12}", role), (details, "label")]
