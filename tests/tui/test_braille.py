from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui_trainer.tui import braille
from tui_trainer.tui.lines import changed_cells, cut, spread, width_of, wrap
from tui_trainer.tui.widgets.loss_chart import axis_end, value_range

TEXTS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Mn", "Me", "Cf")) | st.sampled_from("안녕🙂 a"), max_size=60
)
LINES = st.lists(st.tuples(TEXTS, st.sampled_from(["", "train", "val"])), max_size=4)


def dots(lines):
    return {
        (2 * x + dx, 4 * y + dy)
        for y, line in enumerate(lines)
        for x, character in enumerate("".join(text for text, _ in line))
        for dy, row in enumerate(((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80)))
        for dx, bit in enumerate(row)
        if "\u2800" <= character <= "\u28ff" and (ord(character) - 0x2800) & bit
    }


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right():
    columns = [(x, x) for x in range(8)]
    drawn = dots(braille.draw(4, 2, [braille.Curve(columns, "train")], 0, 7))
    assert drawn == {(x, 7 - x) for x in range(8)}


def test_a_spike_is_drawn_from_its_lowest_to_its_highest():
    columns = [(1.0, 1.0)] * 4 + [(0.0, 7.0)] + [(1.0, 1.0)] * 3
    drawn = dots(braille.draw(4, 2, [braille.Curve(columns, "train")], 0, 7))
    assert {(4, y) for y in range(8)} <= drawn


def test_a_gap_stays_a_gap():
    columns = [(1.0, 1.0)] * 2 + [None] * 4 + [(6.0, 6.0)] * 2
    drawn = dots(braille.draw(4, 2, [braille.Curve(columns, "train")], 0, 7))
    assert not [x for x, _ in drawn if 2 <= x < 6]


def test_bridged_gaps_are_straight_lines():
    assert braille.bridge_gaps([(0.0, 0.0), None, None, (3.0, 3.0), None]) == [
        (0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0), None,
    ]  # fmt: skip


def test_marks_cover_what_is_below():
    lines = braille.draw(3, 1, [braille.Curve([(0, 1)] * 6, "train")], 0, 1, [braille.Mark(2, 0.5, "◆", "best")])
    assert ("◆", "best") in lines[0]


@given(st.lists(st.none() | st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=10, max_size=10))
def test_any_values_draw_inside_the_box(columns):
    ordered = [column and (min(column), max(column)) for column in columns]
    lines = braille.draw(5, 3, [braille.Curve(ordered, "val")], -1.0, 1.0)
    assert [width_of(line) for line in lines] == [5, 5, 5]


@given(st.integers(0, 10**7), st.integers(1, 10**7))
def test_the_axis_always_reaches_the_step(step, max_steps):
    step = min(step, max_steps)
    assert step <= axis_end(step, max_steps) <= max_steps


@given(st.floats(1e-3, 50), st.floats(0, 50), st.integers(3, 60))
def test_the_value_axis_holds_every_value(low, span, rows):
    bottom, top, tick = value_range(low, low + span, rows)
    assert bottom <= low + 1e-9 and low + span <= top + 1e-9
    assert bottom < top and tick > 0


@given(LINES, LINES)
def test_changed_cells_hold_every_difference(old, new):
    span = changed_cells(old, new)
    if span is None:
        assert old == new
        return
    start, end = span

    def cells(line):
        return [(character, role) for text, role in line for character in text for _ in range(cell_len(character))]

    before, after = cells(old), cells(new)
    assert before[:start] == after[:start]
    if len(before) == len(after):
        assert before[end:] == after[end:]
    else:
        assert end >= max(len(before), len(after))


@given(LINES, st.integers(1, 80))
def test_cut_lines_fit(line, width):
    assert width_of(cut(line, width)) <= width


@given(LINES, st.integers(20, 80))
def test_spread_lines_fill_the_width(left, width):
    assert width_of(spread(left, [("right", "label")], width)) == width


@given(TEXTS, st.integers(2, 40))
def test_wrapped_text_fits_and_loses_only_spaces(text, width):
    pieces = wrap(text, width)
    assert all(cell_len(piece) <= width for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "").replace("\n", "")


def test_cells_after_joined_emoji_and_combining_marks_are_where_the_terminal_has_them():
    for text in ("👩‍👩‍👧", "é", "각"):
        before, after = [(text + "ab", "")], [(text + "ax", "")]
        assert changed_cells(before, after) == (cell_len(text) + 1, cell_len(text) + 2)
