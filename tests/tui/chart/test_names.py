"""Names of curves give way to each other and to the curves."""

from __future__ import annotations

from tui_trainer.tui.chart.names import End, write_names
from tui_trainer.tui.dots import BRAILLE, Canvas, Curve


def written(ends: list[End], *curves: Curve) -> list[str]:
    canvas = Canvas(BRAILLE, 16, 5, 0.0, 19.0)
    for curve in curves:
        canvas.plot(curve)
    write_names(canvas, ends)
    return ["".join(text for text, _ in line) for line in canvas.lines()]


def test_a_name_stands_beside_the_end_of_its_curve():
    assert written([End("val", "val", 3, 10.0)])[2] == "     val        "


def test_two_ends_at_one_height_have_names_above_each_other_the_higher_one_on_top():
    lines = written([End("train", "train", 3, 9.5), End("val", "val", 3, 10.0)])
    assert [line.strip() for line in lines] == ["", "", "val", "train", ""]


def test_a_name_gives_way_to_a_curve():
    lines = written([End("now", "train", 3, 10.0)], Curve([(10.0, 10.0)] * 32, "quiet"))
    assert lines[1] == "     now        " and "now" not in lines[2]


def test_where_everything_is_full_a_name_covers_its_own_place():
    lines = written([End("now", "train", 3, 10.0)], Curve([(0.0, 19.0)] * 32, "quiet"))
    assert lines[2][5:8] == "now"
