"""RunState: the fold of a run's events, which every renderer shows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    EvaluationCompleted,
    HardwareSampled,
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
)
from tui_trainer.monitor.eta import RECENT_STEPS, Pace
from tui_trainer.monitor.history import History

if TYPE_CHECKING:
    from tui_trainer.runs.step_lines import StepBlock

FEED_LENGTH = 500
START_RULES = ("base", "checkpoint", "data", "resume", "schedule", "vocabulary")
"""Advice about one start of a run, in logs of earlier versions, which did not say how long it stands."""
MARKED_SETTINGS = {
    "training.learning_rate": "rate",
    "training.min_learning_rate": "rate",
    "training.max_steps": "last_step",
    "training.epochs": "last_step",
}
"""What a person changes while the run goes on, and the mark that it leaves."""
LEVELS = ("wrong", "warning", "note")
SLOWEST = 1e-9
"""Tokens a second below which nobody waits for a step."""
MAX_EVALUATIONS = 4096
MAX_PROMPTS = 16
"""Prompts whose newest sample is kept."""


@dataclass
class RunState:
    """Everything known of a run from its events. `apply`, and `apply_steps` for many at once, are how it changes."""

    segment: int = 0
    started: RunStarted | None = None
    max_steps: int | None = None
    """The last step of the run, once it is known; it may be changed while the run goes on."""
    went_on_from: int = 0
    """The step of the checkpoint that a resume or a roll-back last went back to."""
    learning_rate_factor: float = 1.0
    """What the planned learning rate is multiplied with by now: roll-backs make it smaller."""
    rolled_back_seconds: float = 0.0
    """Time spent until the last roll-back of this segment: the clock does not go back with the weights."""
    micro_batch_size: int | None = None
    overflows: int = 0
    """Updates that fp16 skipped to lower its loss scale, which is normal."""
    non_finite_skips: int = 0
    """Updates that were skipped because the loss or the gradient was not finite."""
    phase: PhaseStarted | None = None
    step: StepCompleted | None = None
    evaluations: list[EvaluationCompleted] = field(default_factory=list)
    """The newest, and with them the first and the best, however old."""
    best: EvaluationCompleted | None = None
    saved_best: EvaluationCompleted | None = None
    """The newest best evaluation whose checkpoint is on the disk."""
    best_checkpoint_step: int | None = None
    samples: dict[str, SampleGenerated] = field(default_factory=dict)
    """The newest sample of each prompt, the newest last."""
    advice: dict[str, AdviceRaised] = field(default_factory=dict)
    ended: RunFinished | RunFailed | None = None
    paused: RunPaused | None = None
    is_moving: bool = False
    """Whether one process handed the run over and the next has not begun."""
    hardware: HardwareSampled | None = None
    history: History = field(default_factory=History)
    pace: Pace = field(default_factory=Pace)
    feed: deque[Record] = field(default_factory=lambda: deque(maxlen=FEED_LENGTH))
    """What a person would want to read about, oldest first; steps and phases are not."""

    @property
    def current_step(self) -> int:
        """The last complete step that is known of: not every step need be in the log."""
        known = [event.step for event in (self.step, self.evaluation, self.ended) if event]
        return max([*known, self.went_on_from])

    @property
    def evaluation(self) -> EvaluationCompleted | None:
        """The newest evaluation."""
        return self.evaluations[-1] if self.evaluations else None

    @property
    def epochs(self) -> int | None:
        """The epoch of the last step: how many passes over the text the run makes, a started one counted."""
        if not self.started or not self.started.steps_per_epoch or self.max_steps is None:
            return None
        # A step belongs to the epoch of its first window; the last step may reach into an epoch that is not run.
        return int(max(0, self.max_steps - 1) / self.started.steps_per_epoch + 1e-9) + 1

    @property
    def elapsed_seconds(self) -> float:
        """Time spent training, over all segments."""
        latest = max((event.elapsed_seconds for event in (self.step, self.evaluation) if event), default=0.0)
        return max(latest, self.rolled_back_seconds, self.ended.elapsed_seconds if self.ended else 0.0)

    @property
    def tokens_per_second(self) -> float | None:
        """Of the median recent step."""
        return self.pace.tokens_per_second(self.started.tokens_per_step) if self.started else None

    @property
    def sample(self) -> SampleGenerated | None:
        """The first sample of the newest step that has any: it stays the same until the next evaluation."""
        newest = next(reversed(self.samples.values()), None)
        return next((sample for sample in self.samples.values() if newest and sample.step == newest.step), None)

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
        self._enter(record.segment)
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
                self._apply_checkpoint(event)
            case AdviceRaised() as event:
                is_repeated = event.rule in self.advice and self.advice[event.rule].level == event.level
                self.advice[event.rule] = event
                if is_repeated:
                    return
            case AdviceCleared() as event:
                self.advice.pop(event.rule, None)
            case RunFinished() | RunFailed() as event:
                self.ended, self.paused, self.is_moving = event, None, False
                self._drop_notices()
            case SampleGenerated() as event:
                self._apply_sample(event)
                return
            case StepSkipped() as event:
                if not self._count_skip(event):
                    return
            case RolledBack() as event:
                self._apply_roll_back(event)
            case MicroBatchReduced() as event:
                if event.phase == "training":
                    self.micro_batch_size = event.micro_batch_size
            case ControlApplied() as event:
                self._apply_control(event)
            case RunPaused() as event:
                self.paused = event
                if event.step:  # the preparation of a text has no steps
                    self.history.marks.add("pause", event.step)
                return
            case RunResumed():
                self.paused = None
                return
            case RunMoving():
                self.is_moving = True
            case HardwareSampled() as event:
                self.hardware = event
                self.history.add_hardware(event)
                return
        self.feed.append(record)

    def apply_steps(self, block: StepBlock) -> None:
        """Takes in many steps that follow each other in the log, with the very same result."""
        self._enter(block.segment)
        self.step = block.last
        self.history.add_steps(block)
        if self.started:
            seconds = self.started.tokens_per_step / block.tokens_per_second[-RECENT_STEPS:].clip(SLOWEST)
            self.pace.steps.extend(seconds.tolist())

    def _enter(self, segment: int) -> None:
        if segment > self.segment:  # somebody goes on with it
            self.segment, self.ended = segment, None

    def _apply_start(self, event: RunStarted) -> None:
        self.started, self.ended, self.rolled_back_seconds = event, None, 0.0
        self.paused, self.is_moving = None, False
        self.max_steps, self.micro_batch_size = event.max_steps, event.micro_batch_size
        self.pace = Pace()  # another process, perhaps on another device
        self.learning_rate_factor = event.learning_rate_factor
        if event.resumed_from_step is not None:
            self._go_back_to(event.resumed_from_step)
            self.history.marks.add("resume", event.resumed_from_step)
        self._drop_notices()
        if event.is_text_changed:  # what was measured on the old text says nothing about the new one
            self.evaluations, self.best, self.saved_best = [], None, None

    def _drop_notices(self) -> None:
        """What was said about one start ends with it."""
        of_start = [rule for rule, advice in self.advice.items() if advice.until == "start" or rule in START_RULES]
        for rule in of_start:
            del self.advice[rule]

    def _apply_roll_back(self, event: RolledBack) -> None:
        self.rolled_back_seconds = self.elapsed_seconds
        self._go_back_to(event.step)
        self.history.marks.add("roll_back", event.step)
        self.learning_rate_factor = event.learning_rate_factor

    def _go_back_to(self, step: int) -> None:
        """A resume and a roll-back go on from a checkpoint: what came after it never happened.

        Only the best evaluation stays, when its checkpoint was saved: that one still is the best to speak from.
        """
        self.went_on_from = step
        self.history.drop_after(step)
        self.evaluations = [evaluation for evaluation in self.evaluations if evaluation.step <= step]
        if self.best and self.best.step > step:
            kept = (evaluation for evaluation in reversed(self.evaluations) if evaluation.is_best)
            self.best = self.saved_best or next(kept, None)
        if self.step and self.step.step > step:
            self.step = None
        self.advice = {rule: advice for rule, advice in self.advice.items() if advice.step <= step}
        self.samples = {prompt: sample for prompt, sample in self.samples.items() if sample.step <= step}

    def _apply_step(self, event: StepCompleted) -> None:
        self.step = event
        self.history.add_step(event)
        if self.started:
            self.pace.add_step(self.started.tokens_per_step / max(event.tokens_per_second, SLOWEST))

    def _apply_evaluation(self, event: EvaluationCompleted) -> None:
        if self.evaluations and self.evaluations[-1].step == event.step:
            self.evaluations.pop()  # measured again after a resume
        self.evaluations.append(event)
        self.history.add_evaluation(event)
        self.pace.add_evaluation(event.seconds)
        if event.is_best and not event.is_noise:
            self.best = event
        if len(self.evaluations) > MAX_EVALUATIONS:
            del self.evaluations[2 if self.evaluations[1] is self.best else 1]

    def _apply_checkpoint(self, event: CheckpointSaved) -> None:
        self.pace.add_save(event.seconds)
        self.history.marks.add("checkpoint", event.step)
        if event.is_best:
            self.best_checkpoint_step = event.step
            self.saved_best = self.best if self.best and self.best.step == event.step else None

    def _apply_sample(self, event: SampleGenerated) -> None:
        self.samples.pop(event.prompt, None)
        self.samples[event.prompt] = event
        while len(self.samples) > MAX_PROMPTS:
            del self.samples[next(iter(self.samples))]

    def _apply_control(self, event: ControlApplied) -> None:
        """What holds from here on, as the trainer settled it."""
        key = event.value.get("key") if event.action == "set" and isinstance(event.value, dict) else None
        if mark := MARKED_SETTINGS.get(str(key)):
            self.history.marks.add(mark, event.step)
        self.max_steps = event.max_steps or self.max_steps
        if event.learning_rate_factor is not None:
            self.learning_rate_factor = event.learning_rate_factor

    def _count_skip(self, event: StepSkipped) -> bool:
        """Whether a person should read about it: of the overflows of fp16 only the first is news."""
        if event.reason != "overflow":
            self.non_finite_skips += 1
            self.history.marks.add("non_finite", event.step)
            return True
        self.overflows += 1
        return self.overflows == 1
