"""RunState: the fold of a run's events, which every renderer shows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    PhaseStarted,
    Record,
    RunFailed,
    RunFinished,
    RunStarted,
    SampleGenerated,
    StepCompleted,
)
from tui_trainer.monitor.eta import Pace
from tui_trainer.monitor.history import Series

FEED_LENGTH = 500
LEVELS = ("wrong", "warning", "note")


@dataclass
class RunState:
    """Everything known of a run from its events. `apply` is the only way it changes."""

    segment: int = 0
    started: RunStarted | None = None
    phase: PhaseStarted | None = None
    step: StepCompleted | None = None
    evaluations: list[EvaluationCompleted] = field(default_factory=list)
    best: EvaluationCompleted | None = None
    best_checkpoint_step: int | None = None
    advice: dict[str, AdviceRaised] = field(default_factory=dict)
    ended: RunFinished | RunFailed | None = None
    train_loss: Series = field(default_factory=Series)
    train_perplexity: Series = field(default_factory=Series)
    learning_rate: Series = field(default_factory=Series)
    pace: Pace = field(default_factory=Pace)
    feed: deque[Record] = field(default_factory=lambda: deque(maxlen=FEED_LENGTH))
    """What a person would want to read about, oldest first; steps and phases are not."""

    @property
    def current_step(self) -> int:
        """The last complete step that is known of: not every step need be in the log."""
        known = [event.step for event in (self.step, self.evaluation, self.ended) if event]
        resumed_from = self.started.resumed_from_step if self.started else None
        return max([*known, resumed_from or 0])

    @property
    def max_steps(self) -> int | None:
        """The last step of the run, once it is known."""
        return self.started.max_steps if self.started else None

    @property
    def evaluation(self) -> EvaluationCompleted | None:
        """The newest evaluation."""
        return self.evaluations[-1] if self.evaluations else None

    @property
    def epochs(self) -> int | None:
        """The epoch of the last step: how many passes over the text the run makes, a started one counted."""
        if not self.started or not self.started.steps_per_epoch:
            return None
        # A step belongs to the epoch of its first window; the last step may reach into an epoch that is not run.
        return int(max(0, self.started.max_steps - 1) / self.started.steps_per_epoch + 1e-9) + 1

    @property
    def elapsed_seconds(self) -> float:
        """Time spent training, over all segments."""
        latest = max((event.elapsed_seconds for event in (self.step, self.evaluation) if event), default=0.0)
        return max(latest, self.ended.elapsed_seconds if self.ended else 0.0)

    @property
    def tokens_per_second(self) -> float | None:
        """Of the median recent step."""
        return self.pace.tokens_per_second(self.started.tokens_per_step) if self.started else None

    @property
    def measured(self) -> list[tuple[int, float, float]]:
        """(step, train loss, validation loss) of each evaluation that has both, for the diagnosis."""
        return [
            (event.step, event.train_eval_loss, event.val_loss)
            for event in self.evaluations
            if event.train_eval_loss is not None and event.val_loss is not None
        ]

    @property
    def standing_advice(self) -> list[AdviceRaised]:
        """The advice that stands, worst first."""
        return sorted(
            self.advice.values(), key=lambda advice: LEVELS.index(advice.level) if advice.level in LEVELS else 9
        )

    def apply(self, record: Record) -> None:
        """Takes in the next record of the log."""
        if record.segment > self.segment:  # somebody goes on with it
            self.segment, self.ended = record.segment, None
        match record.event:
            case StepCompleted() as event:
                self._apply_step(event)
                return
            case PhaseStarted() as event:
                self.phase = event
                return
            case RunStarted() as event:
                self._apply_start(event)
            case EvaluationCompleted() as event:
                self._apply_evaluation(event)
            case CheckpointSaved() as event:
                self.pace.add_save(event.seconds)
                if event.is_best:
                    self.best_checkpoint_step = event.step
            case AdviceRaised() as event:
                is_repeated = event.rule in self.advice and self.advice[event.rule].level == event.level
                self.advice[event.rule] = event
                if is_repeated:
                    return
            case AdviceCleared() as event:
                self.advice.pop(event.rule, None)
            case RunFinished() | RunFailed() as event:
                self.ended = event
            case SampleGenerated() | ControlApplied() | ControlDiscarded():
                pass
        self.feed.append(record)

    def _apply_start(self, event: RunStarted) -> None:
        """A resumed run goes on from its checkpoint: what came after that never happened."""
        self.started, self.ended = event, None
        self.pace = Pace()  # another process, perhaps on another device
        step = event.resumed_from_step
        if step is None:
            return
        for series in (self.train_loss, self.train_perplexity, self.learning_rate):
            series.drop_after(step)
        self.evaluations = [evaluation for evaluation in self.evaluations if evaluation.step <= step]
        self.best = next((evaluation for evaluation in reversed(self.evaluations) if evaluation.is_best), None)
        if self.best_checkpoint_step is not None and self.best_checkpoint_step > step:
            self.best_checkpoint_step = self.best.step if self.best else None
        if self.step and self.step.step > step:
            self.step = None
        self.advice = {rule: advice for rule, advice in self.advice.items() if advice.step <= step}

    def _apply_step(self, event: StepCompleted) -> None:
        self.step = event
        self.train_loss.append(event.step, event.train_loss)
        self.train_perplexity.append(event.step, event.train_perplexity)
        self.learning_rate.append(event.step, event.learning_rate)
        if self.started:
            self.pace.add_step(self.started.tokens_per_step / max(event.tokens_per_second, 1e-9))

    def _apply_evaluation(self, event: EvaluationCompleted) -> None:
        if self.evaluations and self.evaluations[-1].step == event.step:
            self.evaluations.pop()  # measured again after a resume
        self.evaluations.append(event)
        self.pace.add_evaluation(event.seconds)
        if event.is_best:
            self.best = event
