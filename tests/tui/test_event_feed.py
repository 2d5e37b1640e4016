"""The feed: one line an event, its colour with a meaning."""

from __future__ import annotations

import pytest

from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    ControlApplied,
    ControlDiscarded,
    MicroBatchReduced,
    RolledBack,
    RunMoving,
    RunStarted,
    StepSkipped,
    TerminalLost,
)
from tui_trainer.tui.widgets.event_feed import WHAT, describe

RATE = {"key": "training.learning_rate", "value": 0.0005}
TABLE = [
    (StepSkipped(7, "overflow", None, None, 1024.0), "note", "skipped", "again with loss scale 1024"),
    (StepSkipped(7, "non_finite", None, 2.5), "warning", "skipped", "step 7   not finite, grad norm 2.500: on with"),
    (RolledBack(1200, 1240, "diverged", 0.5), "warning", "rolled back", "from step 1,240 to step 1,200"),
    (MicroBatchReduced(9, 1, "out of memory"), "warning", "micro-batch", "1 sequence at once"),
    (MicroBatchReduced(9, 2, "out of memory"), "warning", "micro-batch", "2 sequences at once from step 9 on"),
    (AdviceRaised("resume", "note", "close, not identical", "", 1, {}), "note", "resume", "close, not identical"),
    (AdviceRaised("learning_rate", "warning", "too high", "", 1, {}), "warning", "learning rate", "too high"),
    (AdviceRaised("divergence", "wrong", "loss 9", "", 1, {}), "wrong", "divergence", "loss 9"),
    (AdviceRaised("memorisation_and_more", "odd", "quotes", "", 1, {}), "warning", "memorisation …", "quotes"),
    (AdviceCleared("memorisation", 1), "good", "memorisation", "has passed"),
    (ControlApplied("1", "set", RATE, "me", 1), "value", "set", "training.learning_rate = 0.0005   asked for by me"),
    (ControlApplied("1", "save", None, "me", 1), "value", "save", "asked for by me"),
    (
        RunStarted("r", 1000, 9, 1, 1.0, 1, 1, 1, 1, 1, "cpu", "fp32", base={"name": "a run", "step": 1200}),
        "value",
        "started",
        "from a run, step 1,200   1.00 k parameters",
    ),
    (RunMoving(1200, 1.0), "note", "handed over", "at step 1,200 to a process of its own"),
    (TerminalLost(), "note", "hung up", "the training goes on without a screen"),
    (ControlDiscarded("1", "set", RATE, "me"), "note", "set", "= 0.0005   asked for by me   had no effect"),
]


@pytest.mark.parametrize(("event", "role", "what", "details"), TABLE, ids=lambda value: type(value).__name__)
def test_each_event_is_described_in_its_columns_and_colour(event, role, what, details):
    line = describe(event)
    text = "".join(part for part, _ in line)
    assert line[0][1] == role
    assert text[:WHAT].strip() == what and text[WHAT - 1] == " "
    assert details in text[WHAT:]


def test_what_others_wrote_is_shown_and_not_obeyed():
    hostile = "a\x1b]0;x\x07\x9b31m‮\nb"
    for event in (
        StepSkipped(1, hostile, None, None), RolledBack(1, 2, hostile, 0.5), MicroBatchReduced(1, 2, hostile),
        AdviceRaised(hostile, hostile, hostile, hostile, 1, {}), ControlApplied(hostile, hostile, hostile, hostile, 1),
        ControlApplied("1", "set", {"key": hostile, "value": {"x": hostile}}, hostile, 1),
    ):  # fmt: skip
        assert all(part.isprintable() for part, _ in describe(event))
