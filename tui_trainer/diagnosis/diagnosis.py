"""Diagnosis: the one door. Events of a run go in, in order; the advice that follows from them comes out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Self

from tui_trainer.diagnosis.advice import Advice, without_silenced
from tui_trainer.diagnosis.divergence import RULE as DIVERGENCE
from tui_trainer.diagnosis.divergence import find_divergence
from tui_trainer.diagnosis.history import History
from tui_trainer.diagnosis.rules import RULES
from tui_trainer.diagnosis.samples import read_sample
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    EvaluationCompleted,
    Event,
    RolledBack,
    RunStarted,
    SampleGenerated,
    StepCompleted,
    StepSkipped,
)


class Diagnosis:
    """What the figures of one run mean so far.

    The trainer feeds it its own events and appends what it returns to the log, so that the screen, the log and a
    replay of the log agree.
    """

    def __init__(self) -> None:
        self._history = History()

    def take_in(self, event: Event) -> list[AdviceRaised | AdviceCleared]:
        """Takes in the next event of the run and returns the advice that follows from it now.

        Advice that stands is raised again, with fresh figures, at each evaluation, and where a run goes on from a
        checkpoint, because readers then forget what was said after it; otherwise only changes are said.
        """
        history = self._history
        match event:
            case StepCompleted():
                history.add_step(event)
                return self._judge_divergence(event.step)
            case EvaluationCompleted():
                history.add_evaluation(event)
                return self._judge(event.step, again=RULES)
            case SampleGenerated():
                history.add_sample(read_sample(event))
                return self._judge(event.step)
            case StepSkipped(reason="non_finite"):
                history.moment.trouble.note_skip(event)
                return self._judge(event.step, again=(DIVERGENCE,))
            case RolledBack():
                return self._roll_back(event)
            case CheckpointSaved():
                history.mark(event.step)
            case ControlApplied(max_steps=int(max_steps)):
                history.facts = replace(history.facts, max_steps=max_steps)
            case RunStarted():
                history.start(event)
                return self._judge(event.resumed_from_step or 0, again=RULES)
        return []

    def go_back(self, step: int) -> None:
        """Forgets what came after `step`, the advice included."""
        self._history.go_back(step)

    def as_state(self) -> dict[str, Any]:
        """Plain values, for JSON; a few kilobytes and six numbers an evaluation."""
        return self._history.as_state()

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What goes on as the one that `as_state` described; unknown entries are left out."""
        diagnosis = cls()
        diagnosis._history = History.from_state(state)
        return diagnosis

    def _roll_back(self, event: RolledBack) -> list[AdviceRaised | AdviceCleared]:
        """Going back clears what was raised meanwhile, but not the memory that it went back."""
        trouble, shown = self._history.moment.trouble, self._history.moment.shown
        self._history.go_back(event.step)
        trouble.note_roll_back(event)
        moment = self._history.moment
        moment.trouble, moment.shown = trouble, shown
        return self._judge(event.step, again=RULES)

    def _judge_divergence(self, step: int) -> list[AdviceRaised | AdviceCleared]:
        """The one rule that is asked at every step; the others only when its answer changes."""
        moment = self._history.moment
        level = moment.levels.get(DIVERGENCE)
        advice = find_divergence(moment.steps, moment.trouble, level)
        return [] if (advice.level if advice else None) == level else self._judge(step)

    def _judge(self, step: int, again: Collection[str] = ()) -> list[AdviceRaised | AdviceCleared]:
        """Asks all rules and says what changed; those of `again` are raised again if they stand."""
        moment = self._history.moment
        found: dict[str, Advice] = {}
        for name, rule in RULES.items():
            if advice := rule(self._history, moment.levels.get(name)):
                found[name] = advice
        before, now = moment.shown, without_silenced(found)
        moment.levels = {name: advice.level for name, advice in found.items()}
        moment.shown = {name: advice.level for name, advice in now.items()}
        cleared = [AdviceCleared(name, step) for name in before if name not in now]
        return cleared + [
            AdviceRaised(advice.rule, advice.level, advice.evidence, advice.remedy, step, advice.values)
            for name, advice in now.items()
            if name in again or before.get(name) != advice.level
        ]
