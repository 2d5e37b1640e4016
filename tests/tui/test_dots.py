from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui_trainer.tui.dots import ASCII, BLOCKS, BRAILLE, STYLES, Canvas, Curve, DotStyle, draw
from tui_trainer.tui.lines import changed_cells, cut, spread, width_of, wrap

TEXTS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Mn", "Me", "Cf")) | st.sampled_from("안녕🙂 a"), max_size=60
)
LINES = st.lists(st.tuples(TEXTS, st.sampled_from(["", "train", "val"])), max_size=4)
VALUES = st.floats(allow_nan=False, allow_infinity=False)
STYLE = st.sampled_from(list(STYLES.values()))
each_style = pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)


def dots(lines, style: DotStyle = BRAILLE) -> set[tuple[int, int]]:
    """The column and the row of each dot, counted from the upper left."""
    return {
        (style.wide * x + bit // style.high, style.high * y + bit % style.high)
        for y, line in enumerate(lines)
        for x, character in enumerate("".join(text for text, _ in line))
        for bit in range(style.wide * style.high)
        if character in style.glyphs and style.glyphs.index(character) >> bit & 1
    }


def ordered(columns):
    return [column and (min(column), max(column)) for column in columns]


def test_every_style_has_a_glyph_of_its_own_for_each_pattern():
    for style in STYLES.values():
        assert len(style.glyphs) == len(set(style.glyphs)) == 2 ** (style.wide * style.high)
        assert style.glyphs[0] == style.levels[0] == " "
    assert {*ASCII.glyphs, *ASCII.levels, *vars(ASCII.signs).values()} <= set(map(chr, range(32, 127)))
    assert BLOCKS.glyphs[-1] == "█" and BRAILLE.glyphs[-1] == "⣿"


@each_style
def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right(style):
    count = 4 * style.wide
    height = count // style.high
    columns = [(x, x) for x in range(count)]
    drawn = dots(draw(style, 4, height, [Curve(columns, "train")], 0, count - 1), style)
    assert drawn == {(x, count - 1 - x) for x in range(count)}


@each_style
def test_a_spike_is_drawn_from_its_lowest_to_its_highest(style):
    columns = [(1.0, 1.0)] * 4 + [(0.0, 7.0)] + [(1.0, 1.0)] * 3
    drawn = dots(draw(style, 8 // style.wide, 2, [Curve(columns, "train")], 0, 7), style)
    assert {(4, y) for y in range(2 * style.high)} <= drawn


@each_style
def test_a_gap_stays_a_gap(style):
    columns = [(1.0, 1.0)] * 2 + [None] * 4 + [(6.0, 6.0)] * 2
    drawn = dots(draw(style, 8 // style.wide, 2, [Curve(columns, "train")], 0, 7), style)
    assert {x for x, _ in drawn} == {0, 1, 6, 7}


def test_a_cell_belongs_to_the_curve_in_front():
    curves = [Curve([(0, 7)] * 4, "band"), Curve([(7, 7)] * 4, "train")]
    assert draw(BRAILLE, 2, 2, curves, 0, 7) == [[("⠉⠉", "train")], [("⣿⣿", "band")]]


def test_a_shaded_curve_has_every_other_dot_and_both_its_ends():
    drawn = dots(draw(BRAILLE, 1, 2, [Curve([(0, 7), (1, 6)], "band", is_shaded=True)], 0, 7))
    assert drawn == {(0, y) for y in (0, 2, 4, 6, 7)} | {(1, y) for y in (1, 3, 5, 6)}


def test_what_is_put_covers_what_is_below_and_is_cut_at_the_edge():
    canvas = Canvas(BRAILLE, 4, 1, 0, 1)
    canvas.plot(Curve([(0, 1)] * 4, "train"))
    assert not canvas.is_free(1, 0, 2) and canvas.is_free(2, 0, 2)
    canvas.put(1, 0, "◆", "best")
    canvas.put(3, 0, "val", "val")
    assert canvas.lines() == [[("⣿", "train"), ("◆", "best"), (" ", ""), ("v", "val")]]


@given(STYLE, st.lists(st.none() | st.tuples(VALUES, VALUES), min_size=10, max_size=10), st.booleans())
def test_any_values_draw_inside_the_box(style, columns, is_shaded):
    lines = draw(style, 5, 3, [Curve(ordered(columns)[: 5 * style.wide], "val", is_shaded)], -1.0, 1.0)
    assert [width_of(line) for line in lines] == [5, 5, 5]


@given(STYLE, st.lists(st.none() | st.tuples(VALUES, VALUES), min_size=12, max_size=12), st.booleans())
@example(style=BRAILLE, columns=[(0.0, 5e-324)] * 12, is_shaded=False)
def test_the_ends_of_every_column_are_drawn(style, columns, is_shaded):
    """On an axis that holds them all, no low and no high is lost, whatever stands beside it."""
    columns = ordered(columns)
    known = [value for column in columns if column for value in column] or [0.0]
    low, high = max(min(known), -1e300), min(max(known), 1e300)
    canvas = Canvas(style, 12 // style.wide, 5, low, high if high > low else low + max(1.0, abs(low)))
    canvas.plot(Curve(columns, "train", is_shaded))
    drawn = dots(canvas.lines(), style)
    for x, column in enumerate(columns):
        for value in column or ():
            y = [y for column, y in drawn if column == x]
            assert any(y // style.high == canvas.row(value) for y in y)
    assert {x for x, _ in drawn} == {x for x, column in enumerate(columns) if column}


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
