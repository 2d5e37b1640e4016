"""A run as aligned plain lines, one fact a line, each figure in its column."""

from __future__ import annotations

from datetime import datetime

from tui_trainer.console.setup_lines import setup_lines
from tui_trainer.diagnosis import Evaluation, find_verdict
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    MicroBatchReduced,
    PhaseStarted,
    Record,
    RolledBack,
    RunFailed,
    RunFinished,
    RunMoving,
    RunPaused,
    RunResumed,
    RunStarted,
    SampleGenerated,
    StepCompleted,
    StepSkipped,
    TerminalLost,
)
from tui_trainer.monitor import numbers
from tui_trainer.monitor.controls import control_text, is_preparing_text
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.recoveries import micro_batch_text, roll_back_text, skip_text
from tui_trainer.monitor.safe_text import safe_line, without_glosses

LINES_A_RUN = 50
"""About how many step lines a run prints, whatever its length."""
MAX_PROMPT, MAX_SAMPLE = 40, 120
"""Characters of a sample that are shown."""


class LineFormatter:
    """Turns records into lines. Figures come from the follower; its own is only which step it showed last.

    A log may come from anywhere, so each line is made safe as a whole.
    """

    def __init__(self, follower: RunFollower) -> None:
        self._follower = follower
        self._shown_share = -1

    def line(self, record: Record) -> str | None:
        """The line for a record, or None for one that is not worth a line; a start has several."""
        text = self._text(record)
        if not text:
            return None
        lines = [text]
        if isinstance(record.event, RunStarted):
            lines += setup_lines(self._follower.state, self._follower.config)
        return "\n".join(safe_line(f"{datetime.fromtimestamp(record.time):%H:%M:%S}  {line}") for line in lines)

    def _text(self, record: Record) -> str | None:
        match record.event:
            case RunStarted() as event:
                return self._start(event)
            case PhaseStarted() as event:
                is_news = event.phase not in ("training", "evaluating", "saving", "paused")
                return f"phase   {event.phase.replace('_', ' ')}" if is_news else None
            case StepCompleted() as event:
                return self._step(event) if self._is_shown(event) else None
            case EvaluationCompleted() as event:
                return self._evaluation(event)
            case CheckpointSaved() as event:
                measured = self._follower.state.evaluation
                is_best = event.is_best and not (measured and measured.is_noise)
                return f"saved   step {event.step:,}{'   best' if is_best else ''}"
            case SampleGenerated() as event:
                return f"sample  step {self._step_figure(event.step)}  {_sample(event)}"
            case StepSkipped() as event:
                return f"skipped {skip_text(event)}" if self._is_in_feed(record) else None
            case RolledBack() as event:
                return f"back    {roll_back_text(event)}"
            case MicroBatchReduced() as event:
                return f"memory  {micro_batch_text(event)}"
            case AdviceRaised() as event:
                is_news = self._is_in_feed(record)
                return (
                    f"{event.level:<7} {event.rule}: {event.evidence}. {without_glosses(event.remedy)}"
                    if is_news
                    else None
                )
            case AdviceCleared() as event:
                return f"cleared {event.rule}"
            case ControlApplied() as event:
                return f"control {control_text(event)}, asked for by {event.requested_by}"
            case ControlDiscarded() as event:
                why = f": {event.reason}" if event.reason else ""
                return f"control {control_text(event)} had no effect, asked for by {event.requested_by}{why}"
            case RunPaused() as event:
                is_preparing = is_preparing_text(self._follower.state)
                return (
                    "paused  while the text is prepared" if is_preparing else f"paused  at step {event.step:,}, saved"
                )
            case RunResumed() as event:
                return f"resumed after {numbers.duration(event.seconds)}"
            case RunMoving() as event:
                return f"moving  at step {event.step:,} to a process of its own"
            case TerminalLost():
                return "hung up the terminal is gone; the training goes on without a screen"
            case RunFinished() as event:
                return self._end(event)
            case RunFailed() as event:
                return f"failed  {event.reason}"
        return None

    def _start(self, event: RunStarted) -> str:
        resumed = "" if event.resumed_from_step is None else f"   resumed from step {event.resumed_from_step:,}"
        return (
            f"started {event.run_id}   {numbers.short(event.parameter_count)} parameters"
            f"   {numbers.short(event.train_tokens)} + {numbers.short(event.val_tokens)} tokens"
            f"   vocabulary {event.vocab_size:,}"
            f"   {event.max_steps:,} steps   {event.device} {event.precision}, {event.threads} threads{resumed}"
        )

    def _end(self, event: RunFinished) -> str:
        after, overflows = numbers.duration(event.elapsed_seconds), self._follower.state.overflows
        counted = f"   {numbers.counted(overflows, 'fp16 overflow')} on the way, which is normal" if overflows else ""
        return f"ended   {event.reason.replace('_', ' ')} at step {event.step:,} after {after}{counted}"

    def _is_in_feed(self, record: Record) -> bool:
        """Whether a person should read of it: what repeats is folded into the state and not fed again."""
        feed = self._follower.state.feed
        return bool(feed) and feed[-1] is record

    def _is_shown(self, event: StepCompleted) -> bool:
        """The first step of each fiftieth of the run, whatever steps the log has, and the last."""
        max_steps = self._follower.state.max_steps or 0
        share = event.step // max(1, round(max_steps / LINES_A_RUN))
        is_news, self._shown_share = share != self._shown_share, share
        return is_news or event.step == max_steps

    def _step(self, event: StepCompleted) -> str:
        state = self._follower.state
        max_steps = state.max_steps or event.step
        epochs = str(state.epochs or numbers.UNKNOWN)
        return (
            f"step    {self._step_figure(event.step)}/{max_steps:,}  epoch {event.epoch:>{len(epochs)}}/{epochs}"
            f"  {100 * event.step / max_steps:3.0f} %"
            f"  loss {numbers.loss(event.train_loss):>6}  ppl {numbers.perplexity(event.train_perplexity):>6}"
            f"  acc {numbers.percent(event.train_accuracy):>6}  lr {numbers.rate(event.learning_rate):>6}"
            f"  grad {numbers.loss(event.grad_norm):>6}{' clipped' if event.is_clipped else '        '}"
            f"  {numbers.short(event.tokens_seen):>6} tokens seen  {numbers.short(state.tokens_per_second):>6} tok/s"
            f"  {numbers.size(event.peak_memory_bytes):>7}"
            f"  {numbers.duration(event.elapsed_seconds)} elapsed, {numbers.duration(self._follower.seconds_left)} left"
        )

    def _evaluation(self, event: EvaluationCompleted) -> str:
        return (
            f"eval    step {self._step_figure(event.step)}"
            f"  train loss {numbers.loss(event.train_eval_loss):>6}"
            f"  ppl {numbers.perplexity(event.train_eval_perplexity):>6}"
            f"  acc {numbers.percent(event.train_eval_accuracy):>6}"
            f"  val loss {numbers.loss(event.val_loss):>6}  ppl {numbers.perplexity(event.val_perplexity):>6}"
            f"  acc {numbers.percent(event.val_accuracy):>6}  bits/byte {numbers.loss(event.val_bpb):>5}"
            f"{_worth(event)}"
            f"{self._verdict()}"
        )

    def _step_figure(self, step: int) -> str:
        """As wide as the last step of the run."""
        return f"{step:>{len(f'{self._follower.state.max_steps or step:,}')},}"

    def _verdict(self) -> str:
        """What the screen's verdict line says while all is well; advice has a line of its own."""
        state = self._follower.state
        training = self._follower.config.training
        verdict = find_verdict(
            [Evaluation(*measured) for measured in state.measured],
            patience=training.early_stop_patience,
            min_delta=training.early_stop_min_delta,
        )
        is_told = state.standing_advice or (state.evaluation and state.evaluation.is_noise)
        return "" if is_told else f"  {verdict.text}"


def _worth(event: EvaluationCompleted) -> str:
    if event.is_noise:
        return f"  noise: ± {numbers.loss(event.val_loss_error)}"
    return "  best" if event.is_best else ""


def _sample(event: SampleGenerated) -> str:
    """Prompt and text on one line, as much of them as helps to see what the model writes by now."""
    return f"{_shortened(event.prompt.strip(), MAX_PROMPT)} → {_shortened(event.text.strip(), MAX_SAMPLE)}"


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
