"""History: what is remembered of a run, and how it goes back to an earlier step."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from tui_trainer.diagnosis.evaluations import Evaluation, figure
from tui_trainer.diagnosis.samples import Sample
from tui_trainer.diagnosis.state import known_of
from tui_trainer.diagnosis.steps import Steps
from tui_trainer.diagnosis.trouble import Trouble
from tui_trainer.events import EvaluationCompleted, RunStarted, StepCompleted

SAMPLES_KEPT = 4
MARKS_KEPT = 8
"""Checkpoints whose moment is remembered: a run goes on from one of its newest."""


@dataclass(frozen=True)
class Facts:
    """What RunStarted says and the rules need."""

    parameter_count: int = 0
    max_steps: int = 0
    steps_per_epoch: float = 0.0
    train_tokens: int = 0
    baseline_loss: float | None = None
    val_tokens: int | None = None

    @property
    def epochs(self) -> float:
        """Passes over the training text, when the run is over."""
        if self.steps_per_epoch <= 0:
            return 0.0
        return figure(self.max_steps / self.steps_per_epoch) or 0.0


@dataclass
class Moment:
    """All that a step changes beside the list of evaluations; what a checkpoint remembers."""

    step: int = 0
    steps: Steps = field(default_factory=Steps)
    trouble: Trouble = field(default_factory=Trouble)
    samples: list[Sample] = field(default_factory=list)
    levels: dict[str, str] = field(default_factory=dict)
    """The level of each rule that holds, by rule."""
    shown: dict[str, str] = field(default_factory=dict)
    """Those of them that were raised and not silenced."""

    def as_state(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `as_state` described."""
        known = known_of(cls, state)
        known["steps"] = Steps.from_state(state.get("steps", {}))
        known["trouble"] = Trouble(**known_of(Trouble, state.get("trouble", {})))
        known["samples"] = [Sample(**known_of(Sample, sample)) for sample in state.get("samples", [])]
        return cls(**copy.deepcopy(known))


@dataclass
class History:
    """A run so far, bounded in size but for its evaluations."""

    facts: Facts = field(default_factory=Facts)
    evaluations: list[Evaluation] = field(default_factory=list)
    moment: Moment = field(default_factory=Moment)
    marks: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """(step, moment) of the newest checkpoints."""

    def start(self, event: RunStarted) -> None:
        """A run begins, or goes on from a checkpoint, whose moment it then is."""
        step = event.resumed_from_step
        if step is None or event.is_text_changed:
            self.evaluations, self.moment, self.marks = [], Moment(), []
        else:
            self.go_back(step)
            self.mark(step)
        self.facts = Facts(
            event.parameter_count,
            event.max_steps,
            event.steps_per_epoch,
            event.train_tokens,
            figure(event.baseline_loss),
            event.val_tokens,
        )

    def add_step(self, event: StepCompleted) -> None:
        """Takes in a step."""
        self.moment.step = event.step
        self.moment.steps.add(event)
        self.moment.trouble.forget_old(event.step)

    def add_evaluation(self, event: EvaluationCompleted) -> None:
        """Takes in an evaluation that has both losses; one of a step that was measured before replaces it."""
        self.moment.step = event.step
        while self.evaluations and self.evaluations[-1].step >= event.step:
            self.evaluations.pop()
        train, val, steps = figure(event.train_eval_loss), figure(event.val_loss), self.moment.steps
        if train is not None and val is not None:
            of_steps = steps.learning_rate, steps.grad_norm, steps.clipped_share
            self.evaluations.append(Evaluation(event.step, train, val, *of_steps, figure(event.val_loss_error)))
            steps.begin_interval()

    def add_sample(self, sample: Sample) -> None:
        """Takes in what a generated text tells."""
        self.moment.samples = [*self.moment.samples, sample][-SAMPLES_KEPT:]

    def mark(self, step: int) -> None:
        """Remembers this moment as that of a checkpoint."""
        earlier = [mark for mark in self.marks if mark[0] < step]
        self.marks = [*earlier, (step, self.moment.as_state())][-MARKS_KEPT:]

    def go_back(self, step: int) -> None:
        """Forgets what came after `step`; where no checkpoint of it is known, single steps before it too."""
        self.evaluations = [evaluation for evaluation in self.evaluations if evaluation.step <= step]
        self.marks = [mark for mark in self.marks if mark[0] <= step]
        is_marked = bool(self.marks) and self.marks[-1][0] == step
        if is_marked or self.moment.step > step:
            self.moment = Moment.from_state(self.marks[-1][1]) if self.marks else Moment()

    def as_state(self) -> dict[str, Any]:
        """Plain values, for JSON; an earlier checkpoint of the same step knew less than this moment."""
        return {
            "facts": asdict(self.facts),
            "evaluations": [list(evaluation) for evaluation in self.evaluations],
            "moment": self.moment.as_state(),
            "marks": [[step, copy.deepcopy(moment)] for step, moment in self.marks if step < self.moment.step],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `as_state` described."""
        return cls(
            Facts(**known_of(Facts, state.get("facts", {}))),
            [Evaluation(*values[: len(Evaluation._fields)]) for values in state.get("evaluations", [])],
            Moment.from_state(state.get("moment", {})),
            [(step, copy.deepcopy(moment)) for step, moment in state.get("marks", [])],
        )
