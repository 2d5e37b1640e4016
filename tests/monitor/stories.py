"""Logs of runs to which anything may happen, for properties of the fold."""

from __future__ import annotations

from dataclasses import replace

from facts import advice, evaluated, saved, started
from hypothesis import strategies as st

from tui_trainer.event_codec import encode
from tui_trainer.events import (
    AdviceCleared,
    ControlApplied,
    HardwareSampled,
    PhaseStarted,
    Record,
    RolledBack,
    RunFinished,
    RunPaused,
    RunResumed,
    SampleGenerated,
    StepCompleted,
    StepSkipped,
)

FOREIGN = [b"junk\n", b"\n", b'{"v":1,"time":3,"segm\n', b'{"event":"FromTheFuture","time":1,"segment":0}\n']


RATE = {"key": "training.learning_rate", "value": 0.0005}
LAST_STEP = {"key": "training.max_steps", "value": 200}


class Story:
    """A trainer that writes down what it is told to do."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.step = 0
        self.segment = 0

    def note(self, record: Record) -> None:
        self.lines.append(encode(replace(record, segment=self.segment)))

    def steps(self, count: int, loss: float | None) -> None:
        for _ in range(count):
            self.step += 1
            event = StepCompleted(
                self.step, 1, self.step * 256, self.step / 10, loss, 2.0 + self.step / 7, 0.25, 1e-3 / (1 + self.step),
                None if loss == 5.0 else 1.0, self.step % 3 == 0, 2560.0 * (self.step % 11), 10**9,
            )  # fmt: skip
            self.note(Record(float(self.step), 0, event))

    def go_back(self, distance: int, is_resume: bool) -> None:
        to = max(0, self.step - distance)
        if is_resume:
            self.segment += 1
            self.note(started(resumed_from_step=to, tokens_per_step=256 + self.segment))
        else:
            self.note(Record(1.0, 0, RolledBack(to, self.step, "loss 9.1", 0.5)))
        self.step = to

    def leap(self) -> None:
        """Another process goes on, but the line of its start is lost."""
        self.segment += 1

    def happen(self, what: str) -> None:
        step, at = self.step, float(self.step)
        self.note(
            {
                "evaluation": evaluated(step, 5 / (1 + step), is_best=step % 2 == 0),
                "save": saved(step, is_best=step % 2 == 0),
                "hardware": Record(at, 0, HardwareSampled(step, 50.0, 10**9, 10**10)),
                "phase": Record(at, 0, PhaseStarted("saving")),
                "sample": Record(at, 0, SampleGenerated(step, f"prompt {step % 3}", "text", {})),
                "advice": advice(step, "warning"),
                "cleared": Record(at, 0, AdviceCleared("overfitting", step)),
                "pause": Record(at, 0, RunPaused(step)),
                "pause over": Record(at, 0, RunResumed(step, 2.0)),
                "rate": Record(at, 0, ControlApplied("1", "set", RATE, "ada on pts/1", step, 100, 1.0)),
                "last step": Record(at, 0, ControlApplied("2", "set", LAST_STEP, "ada on pts/1", step, 200, 1.0)),
                "skip": Record(at, 0, StepSkipped(step + 1, "non_finite", None, None)),
                "end": Record(at, 0, RunFinished("stopped", step, step / 10)),
            }[what]
        )


HAPPENINGS = ["evaluation", "save", "hardware", "phase", "sample", "advice", "cleared", "skip", "end",
              "pause", "pause over", "rate", "last step"]  # fmt: skip
ACTS = (
    st.tuples(st.just("steps"), st.integers(1, 40), st.sampled_from([2.5, 0.1, 3e-05, 5.0, None, float("nan")]))
    | st.tuples(st.just("go_back"), st.integers(0, 60), st.booleans())
    | st.tuples(st.just("happen"), st.sampled_from(HAPPENINGS))
    | st.just(("leap",))
    | st.sampled_from(FOREIGN)
)


def _told(acts) -> list[bytes]:
    story = Story()
    story.note(started())
    for act in acts:
        if isinstance(act, bytes):
            story.lines.append(act)
        else:
            getattr(story, act[0])(*act[1:])
    return story.lines


STORIES = st.lists(ACTS, max_size=30).map(_told)
"""The lines of a log."""
