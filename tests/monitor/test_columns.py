from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.monitor.columns import align


@given(st.lists(st.lists(st.text("abc 1", max_size=9), min_size=3, max_size=3), min_size=1, max_size=9))
def test_columns_begin_or_end_at_the_same_place(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for line, row in zip(align(rows, right=frozenset({1})).split("\n"), rows, strict=True):
        line = line.ljust(sum(widths) + 4)
        assert line[: widths[0]] == row[0].ljust(widths[0])
        assert line[widths[0] + 2 : widths[0] + 2 + widths[1]] == row[1].rjust(widths[1])
        assert line[widths[0] + widths[1] + 4 :] == row[2].ljust(widths[2])


def test_wide_characters_take_two_cells():
    assert align([("한글", "x"), ("abcd", "y"), ("e\u0301", "z")]) == "한글  x\nabcd  y\ne\u0301     z"


def test_a_line_has_no_spaces_at_its_end():
    assert align([("a", ""), ("bb", "x")]) == "a\nbb  x"
