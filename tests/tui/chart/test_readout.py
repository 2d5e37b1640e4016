"""What the cursor reads: figures of the steps under it, or of the point closest to them."""

from __future__ import annotations

from charted import evaluation, run_of, step
from test_curves import SeriesWithGap

from tui_trainer.tui.chart.readout import Entry, read_out, source_entries, step_entry
from tui_trainer.tui.chart.viewport import Window
from tui_trainer.tui.chart.views import LOSS
from tui_trainer.tui.dots import ASCII, BRAILLE

ENTRIES = [
    Entry("steps", "label", "1,200–1,204"),
    Entry("train", "train", "2.914", "2.713–3.201"),
    Entry("val", "val", "3.021", origin="at 1,100"),
    Entry("gap", "value", "0.107"),
]


def text_of(line) -> str:
    return "".join(text for text, _ in line)


def test_what_there_is_no_room_for_is_left_out_the_least_important_first():
    shown = [text_of(read_out(ENTRIES, width)) for width in (81, 77, 67, 61, 47, 35, 25, 11, 10)]
    assert shown == [
        "steps 1,200–1,204   train 2.914 2.713–3.201   val 3.021 at 1,100   gap 0.107",
        "steps 1,200–1,204   train 2.914 2.713–3.201   val 3.021 at 1,100   gap 0.107",
        "steps 1,200–1,204  train 2.914 2.713–3.201  val 3.021  gap 0.107",
        "1,200–1,204  train 2.914 2.713–3.201  val 3.021  gap 0.107",
        "1,200–1,204  train 2.914  val 3.021  gap 0.107",
        "1,200–1,204  train 2.914  val 3.021",
        "1,200–1,204  train 2.914",
        "1,200–1,204",
        "",
    ]


def test_a_step_alone_and_several():
    assert step_entry(Window(1200, 1200), BRAILLE.signs) == Entry("step", "label", "1,200")
    assert step_entry(Window(1200, 1204), ASCII.signs) == Entry("steps", "label", "1,200-1,204")


def test_steps_are_read_as_mean_low_and_high_and_evaluations_as_the_nearest():
    history = run_of(step(1, 4.0), step(2, 2.0), evaluation(2, 3.0, 3.5), step(3, 3.0)).state.history
    signs = BRAILLE.signs
    assert source_entries(LOSS, history, Window(1, 2), signs) == [
        Entry("train", "train", "3.000", "2.000–4.000"),
        Entry("val", "val", "3.500"),
        Entry("gap", "value", "0.500"),
    ]
    assert source_entries(LOSS, history, Window(3, 3), signs)[:2] == [
        Entry("train", "train", "3.000"),
        Entry("val", "val", "3.500", origin="at 2"),
    ]


def test_a_value_that_was_no_number_is_said_to_be_none():
    history = run_of(step(1, 4.0)).state.history
    history.train_loss = SeriesWithGap(7)
    assert source_entries(LOSS, history, Window(7, 8), BRAILLE.signs)[0] == Entry("train", "train", "not finite")
