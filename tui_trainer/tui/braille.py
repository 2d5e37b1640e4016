"""Curves as braille dots: two dots wide and four high a cell.

textual-plot took 51 ms for a frame of 72×14 cells and 0.35 s to import; this takes 5 ms with the history's columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tui_trainer.tui.lines import Line

DOTS_WIDE, DOTS_HIGH = 2, 4
_DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800

Column = tuple[float, float]
"""The lowest and the highest value that fall on one column of dots."""


@dataclass(frozen=True)
class Curve:
    """Values on columns of dots; None is a gap. `role` names its colour."""

    columns: Sequence[Column | None]
    role: str


@dataclass(frozen=True)
class Mark:
    """A sign on top of the curves, at a column of dots and a value."""

    column: int
    value: float
    sign: str
    role: str


def bridge_gaps(columns: Sequence[Column | None]) -> list[Column | None]:
    """Draws straight lines over the gaps between known columns, for values measured only now and then."""
    bridged = list(columns)
    known = [index for index, column in enumerate(columns) if column is not None]
    for left, right in pairwise(known):
        start, end = columns[left], columns[right]
        assert start is not None and end is not None
        for index in range(left + 1, right):
            value = start[1] + (end[0] - start[1]) * (index - left) / (right - left)
            bridged[index] = (value, value)
    return bridged


def draw(
    width: int, height: int, curves: Sequence[Curve], low: float, high: float, marks: Sequence[Mark] = ()
) -> list[Line]:
    """Draws curves into width × height cells; where two meet in a cell, it belongs to the later one.

    Args:
        width: cells; each curve has `width * DOTS_WIDE` columns.
        height: cells.
        curves: from back to front.
        low: the value of the lowest dot.
        high: the value of the highest dot; above `low`.
        marks: signs that cover what is below them.
    """
    dots = [[0] * width for _ in range(height)]
    roles = [[""] * width for _ in range(height)]
    for curve in curves:
        _draw_curve(curve, dots, roles, low, high)
    signs = {(mark.column // DOTS_WIDE, _dot_row(mark.value, low, high, height) // DOTS_HIGH): mark for mark in marks}
    return [
        _as_line([(chr(_BLANK + bits) if bits else " ", role) for bits, role in zip(*row, strict=True)], y, signs)
        for y, row in enumerate(zip(dots, roles, strict=True))
    ]


def _draw_curve(curve: Curve, dots: list[list[int]], roles: list[list[str]], low: float, high: float) -> None:
    height = len(dots)
    previous: tuple[int, int] | None = None
    for x, column in enumerate(curve.columns):
        if column is None:
            previous = None
            continue
        top, bottom = _dot_row(column[1], low, high, height), _dot_row(column[0], low, high, height)
        own = (top, bottom)
        if previous is not None:
            # Reach to the neighbour, so that a steep curve has no holes.
            top, bottom = min(top, previous[1] + 1), max(bottom, previous[0] - 1)
        for y in range(top, bottom + 1):
            row, cell = y // DOTS_HIGH, x // DOTS_WIDE
            if roles[row][cell] != curve.role:  # a cell has one colour: dots of two curves in it would be a blot
                dots[row][cell], roles[row][cell] = 0, curve.role
            dots[row][cell] |= _DOT_BITS[y % DOTS_HIGH][x % DOTS_WIDE]
        previous = own


def _dot_row(value: float, low: float, high: float, height: int) -> int:
    """The row of dots of a value, 0 at the top."""
    last = height * DOTS_HIGH - 1
    return min(last, max(0, round((high - value) / (high - low) * last)))


def _as_line(cells: list[tuple[str, str]], y: int, signs: dict[tuple[int, int], Mark]) -> Line:
    line: Line = []
    for x, (sign, role) in enumerate(cells):
        mark = signs.get((x, y))
        text, role = (mark.sign, mark.role) if mark else (sign, role)
        if line and line[-1][1] == role:
            line[-1] = (line[-1][0] + text, role)
        else:
            line.append((text, role))
    return line
