"""A run as aligned plain lines, one fact a line, each figure in its column."""

from __future__ import annotations

from datetime import datetime

from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    EvaluationCompleted,
    PhaseStarted,
    Record,
    RunFailed,
    RunFinished,
    RunStarted,
    StepCompleted,
)
from tui_trainer.monitor import numbers
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.safe_text import safe_line

LINES_A_RUN = 50
"""About how many step lines a run prints, whatever its length."""


class LineFormatter:
    """Turns records into lines. It keeps no state of its own: figures come from the follower."""

    def __init__(self, follower: RunFollower) -> None:
        self._follower = follower

    def line(self, record: Record) -> str | None:
        """The line for a record, or None for one that is not worth a line."""
        text = self._text(record)
        return f"{datetime.fromtimestamp(record.time):%H:%M:%S}  {text}" if text else None

    def _text(self, record: Record) -> str | None:
        match record.event:
            case RunStarted() as event:
                return self._start(event)
            case PhaseStarted() as event:
                is_news = event.phase not in ("training", "evaluating", "saving")
                return f"phase   {event.phase.replace('_', ' ')}" if is_news else None
            case StepCompleted() as event:
                return self._step(event) if self._is_shown(event) else None
            case EvaluationCompleted() as event:
                return self._evaluation(event)
            case CheckpointSaved() as event:
                return f"saved   step {event.step:,}{'   best' if event.is_best else ''}"
            case AdviceRaised() as event:
                is_news = self._follower.state.feed[-1] is record
                if not is_news:
                    return None
                return f"{event.level:<7} {event.rule}: {safe_line(event.evidence)}. {event.remedy}"
            case AdviceCleared() as event:
                return f"cleared {event.rule}"
            case ControlApplied() as event:
                return f"control {safe_line(event.action)}, asked for by {safe_line(event.requested_by)}"
            case RunFinished() as event:
                after = numbers.duration(event.elapsed_seconds)
                return f"ended   {event.reason.replace('_', ' ')} at step {event.step:,} after {after}"
            case RunFailed() as event:
                return f"failed  {safe_line(event.reason)}"
        return None

    def _start(self, event: RunStarted) -> str:
        resumed = "" if event.resumed_from_step is None else f"   resumed from step {event.resumed_from_step:,}"
        return (
            f"started {safe_line(event.run_id)}   {numbers.short(event.parameter_count)} parameters"
            f"   {numbers.short(event.train_tokens)} + {numbers.short(event.val_tokens)} tokens"
            f"   {event.max_steps:,} steps   {event.device} {event.precision}, {event.threads} threads{resumed}"
        )

    def _is_shown(self, event: StepCompleted) -> bool:
        max_steps = self._follower.state.max_steps or 0
        return event.step in (1, max_steps) or event.step % max(1, round(max_steps / LINES_A_RUN)) == 0

    def _step(self, event: StepCompleted) -> str:
        state = self._follower.state
        max_steps = state.max_steps or event.step
        width = len(f"{max_steps:,}")
        clipped = " clipped" if event.is_clipped else ""
        return (
            f"step    {event.step:>{width},}/{max_steps:,}  epoch {event.epoch}/{state.epochs or numbers.UNKNOWN}"
            f"  {100 * event.step / max_steps:3.0f} %"
            f"  loss {numbers.loss(event.train_loss):>6}  ppl {numbers.perplexity(event.train_perplexity):>6}"
            f"  acc {numbers.percent(event.train_accuracy):>6}  lr {numbers.rate(event.learning_rate):>6}"
            f"  grad {numbers.loss(event.grad_norm)}{clipped}"
            f"  {numbers.short(state.tokens_per_second)} tok/s"
            f"  {numbers.size(event.peak_memory_bytes)}"
            f"  {numbers.duration(event.elapsed_seconds)} gone, {numbers.duration(self._follower.seconds_left)} left"
        )

    def _evaluation(self, event: EvaluationCompleted) -> str:
        return (
            f"eval    step {event.step:,}"
            f"  train loss {numbers.loss(event.train_eval_loss)}  ppl {numbers.perplexity(event.train_eval_perplexity)}"
            f"  acc {numbers.percent(event.train_eval_accuracy)}"
            f"  val loss {numbers.loss(event.val_loss)}  ppl {numbers.perplexity(event.val_perplexity)}"
            f"  acc {numbers.percent(event.val_accuracy)}  bits/byte {numbers.loss(event.val_bpb)}"
            f"{'  best' if event.is_best else ''}"
        )
