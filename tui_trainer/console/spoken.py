"""A run in short sentences, for those who listen to it: the news of its records, at a calm rate."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from tui_trainer.console import spoken_state
from tui_trainer.console.spoken_words import duration, exactly, in_words, rate, rough, sentence, verbatim, whole
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    Event,
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
from tui_trainer.monitor.controls import is_preparing_text, setting_of
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.run_setup import base_name
from tui_trainer.monitor.safe_text import without_glosses

CALM_SECONDS = 10.0
"""Between two sentences about what happens all the time: nobody can listen faster and still think."""
TENTHS = 10
MAX_VALUE = 60
"""Characters of a setting's value that are told."""
PHASES = {"preparing_data": "Preparing the text.", "compiling": "Compiling the model, which may take a minute."}
WISHES = {
    "pause": "to pause",
    "resume": "to go on",
    "save": "to save",
    "stop": "to stop",
    "evaluate": "for an evaluation",
    "sample": "for a sample",
    "detach": "to hand the run over to another process",
}
"""What somebody asks with each action."""


class Calm:
    """Whether enough time has passed since something was last said."""

    def __init__(self) -> None:
        self._said_at: float | None = None

    def allows(self, now: float) -> bool:
        """A clock that was put back counts as time that has passed."""
        return self._said_at is None or abs(now - self._said_at) >= CALM_SECONDS

    def begin(self, now: float) -> None:
        """Something was said."""
        self._said_at = now


class Narrator:
    """Turns records into sentences. Figures come from the follower; its own is only what it said already."""

    def __init__(self, follower: RunFollower, own_commands: Container[str] = ()) -> None:
        """Says nothing yet.

        Args:
            follower: has taken in each record before it is told here.
            own_commands: ids of the commands that the listener sent.
        """
        self._follower = follower
        self._own_commands = own_commands
        self._routine, self._skips = Calm(), Calm()
        self._told_step: int | None = None
        self._told_remedies: dict[str, str] = {}
        self._evaluation: EvaluationCompleted | None = None
        """The newest one that was not told."""
        self._told_evaluation: int | None = None
        self._saved_best: int | None = None
        self._wanted: dict[str, int] = {}
        """What somebody asked for and waits for, and at which step."""

    def sentences(self, record: Record) -> list[str]:
        """What a listener should hear of a record, each item on a line of its own."""
        match record.event:
            case StepCompleted():
                return self._routine_news(record.time)
            case EvaluationCompleted() as event:
                self._evaluation = event
                return self._routine_news(record.time, is_due=self._is_wanted("evaluate", event.step))
            case CheckpointSaved() as event:
                return self._checkpoint(event)
            case SampleGenerated() as event:
                return spoken_state.sample(event) if self._wanted.get("sample") == event.step else []
            case StepSkipped() as event:
                return self._skip(record, event)
            case AdviceRaised() as event:
                return self._advice(event) if self._is_in_feed(record) else []
            case ControlApplied() as event:
                return [self._applied(event), *self._at_hand(event)]
            case RunStarted() | RolledBack():
                self._evaluation = None
        text = self._news(record.event)
        return [text] if text else []

    def status(self, now: float) -> list[str]:
        """A full answer to how it stands, in place of the next progress sentence.

        Args:
            now: Unix seconds.
        """
        self.note_status(now)
        return spoken_state.standing(self._follower)

    def note_status(self, now: float) -> None:
        """The listener knows how it stands; what comes next is news."""
        self._routine.begin(now)
        self._told_step, self._evaluation = self._follower.state.current_step, None

    def _routine_news(self, now: float, *, is_due: bool = False) -> list[str]:
        """The newest evaluation and the progress, when there is something new and it is not too soon."""
        if not (is_due or self._routine.allows(now)):
            return []
        lines = self._untold_evaluation()
        if not is_due and self._has_progressed(is_evaluated=bool(lines)):
            self._told_step = self._follower.state.current_step
            lines.append(spoken_state.progress(self._follower))
        if lines:
            self._routine.begin(now)
        return lines

    def _has_progressed(self, *, is_evaluated: bool) -> bool:
        """Whether steps were made since they were last told of: as far as an evaluation, or another tenth."""
        state, told = self._follower.state, self._told_step
        if state.step is None or told == state.current_step:
            return False
        return is_evaluated or told is None or self._tenth(told) != self._tenth(state.current_step)

    def _untold_evaluation(self) -> list[str]:
        evaluation, self._evaluation = self._evaluation, None
        if evaluation is None:
            return []
        self._told_evaluation = evaluation.step
        lines = [spoken_state.evaluation(evaluation, self._follower.state)]
        return [*lines, _saved(evaluation.step)] if self._saved_best == evaluation.step else lines

    def _checkpoint(self, event: CheckpointSaved) -> list[str]:
        """Told when it was asked for, or when it is the best and its evaluation was told."""
        if event.is_best:
            self._saved_best = event.step
        is_told_best = event.is_best and self._told_evaluation == event.step
        return [_saved(event.step)] if self._is_wanted("save", event.step) or is_told_best else []

    def _skip(self, record: Record, event: StepSkipped) -> list[str]:
        if not self._is_in_feed(record) or not self._skips.allows(record.time):
            return []
        self._skips.begin(record.time)
        if event.reason == "overflow":
            return [f"Step {whole(event.step)} overflowed in fp16, which is normal: it comes again."]
        return [
            f"Step {whole(event.step)} was passed over, because its loss or gradient was not finite. "
            "It goes on with the next batch."
        ]

    def _advice(self, event: AdviceRaised) -> list[str]:
        """Advice that gets worse is told again, but not what to do when that is the same."""
        before, self._told_remedies[event.rule] = self._told_remedies.get(event.rule, ""), event.remedy
        lines = [spoken_state.advice(event)]
        return (
            lines
            if event.remedy == before
            else [*lines, sentence(f"What to do: {in_words(without_glosses(event.remedy))}")]
        )

    def _applied(self, event: ControlApplied) -> str:
        setting = setting_of(event)
        did = f"set {_setting(*setting)}" if setting else f"asked {_wish(event)}"
        return sentence(f"{self._asker(event)} {did}")

    def _at_hand(self, event: ControlApplied) -> list[str]:
        """What was asked for: said at once where it is there already, else when it comes."""
        state = self._follower.state
        if event.action in WISHES:
            self._wanted[event.action] = event.step
        if event.action == "evaluate" and state.evaluation and state.evaluation.step == event.step:
            self._evaluation = None
            return [spoken_state.evaluation(state.evaluation, state)]
        if event.action == "sample":
            there = [sample for sample in state.samples.values() if sample.step == event.step]
            return [line for sample in there for line in spoken_state.sample(sample)]
        if event.action == "save" and event.step in state.history.marks.steps("checkpoint"):
            return [f"Step {whole(event.step)} was saved already."]
        return []

    def _is_wanted(self, action: str, step: int) -> bool:
        return self._wanted.get(action) == step

    def _asker(self, event: ControlApplied | ControlDiscarded) -> str:
        return "you" if event.id in self._own_commands else verbatim(event.requested_by)

    def _is_in_feed(self, record: Record) -> bool:
        """Whether it is news: what repeats is folded into the state and not fed again."""
        feed = self._follower.state.feed
        return bool(feed) and feed[-1] is record

    def _tenth(self, step: int) -> int:
        return TENTHS * step // max(1, self._follower.state.max_steps or 1)

    def _news(self, event: Event) -> str | None:
        """What is told whenever it happens."""
        match event:
            case RunStarted():
                return _start(event)
            case PhaseStarted():
                return PHASES.get(event.phase)
            case RunPaused():
                return spoken_state.paused(event, self._follower.state)
            case RunResumed():
                where = "" if is_preparing_text(self._follower.state) else f" from step {whole(event.step)}"
                return f"Going on{where} after a pause of {duration(event.seconds)}."
            case RunMoving():
                return f"Step {whole(event.step)} is saved, and another process takes the run over."
            case TerminalLost():
                return "Its terminal is gone; it trains on."
            case RolledBack():
                return _roll_back(event)
            case MicroBatchReduced():
                return _smaller(event)
            case AdviceCleared():
                self._told_remedies.pop(event.rule, None)
                return sentence(f"This has passed: {in_words(event.rule.replace('_', ' '))}")
            case ControlDiscarded():
                return self._discarded(event)
            case RunFinished() | RunFailed():
                return spoken_state.ending(event)
        return None

    def _discarded(self, event: ControlDiscarded) -> str:
        why = f": {in_words(event.reason)}" if event.reason else ""
        return sentence(f"{self._asker(event)} asked {_wish(event)}, which had no effect{why}")


def _start(event: RunStarted) -> str:
    run, last = verbatim(event.run_id), whole(event.max_steps)
    if event.resumed_from_step is not None:
        return sentence(f"Going on with run {run} from step {whole(event.resumed_from_step)} of {last}")
    where = f"on {verbatim(event.device)} in {verbatim(event.precision)}"
    base = base_name(event)
    begins = f"The training goes on from {verbatim(base)}" if base else "The training begins"
    return sentence(f"{begins}: run {run}, {rough(event.parameter_count)} parameters, {last} steps, {where}")


def _roll_back(event: RolledBack) -> str:
    went = f"Went back from step {whole(event.from_step)} to step {whole(event.step)}"
    return f"{went}, with {rate(event.learning_rate_factor)} times the planned learning rate. " + sentence(
        f"The reason: {in_words(event.reason)}"
    )


def _smaller(event: MicroBatchReduced) -> str:
    what = "an evaluation" if event.phase == "evaluating" else "a step"
    count = "1 sequence is" if event.micro_batch_size == 1 else f"{whole(event.micro_batch_size)} sequences are"
    return sentence(f"Memory ran out: from now on {count} in memory at once in {what}. {in_words(event.reason)}")


def _saved(step: int) -> str:
    return f"Saved step {whole(step)}."


def _wish(event: ControlApplied | ControlDiscarded) -> str:
    setting = setting_of(event)
    return f"to set {_setting(*setting)}" if setting else WISHES.get(event.action, f"for {verbatim(event.action)}")


def _setting(key: str, value: Any) -> str:
    """As it was set: what somebody chose is not rounded."""
    told = exactly(value) if type(value) in (int, float) else verbatim(str(value))
    if len(told) > MAX_VALUE:
        told = f"{told[:MAX_VALUE]}..."
    return f"{verbatim(key)} to {told}"
