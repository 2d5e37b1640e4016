"""Curves as dots: braille, or coarser where a terminal's font has no braille or no Unicode at all.

textual-plot took 51 ms for a frame of 72×14 cells and 0.35 s to import; a canvas of 72×14 takes about a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tui_trainer.tui.lines import Line

Column = tuple[float, float]
"""The lowest and the highest value that fall on one column of dots."""


@dataclass(frozen=True)
class Signs:
    """The signs around the dots, one cell each."""

    wall: str = "│"
    wall_tick: str = "┤"
    corner: str = "└"
    floor: str = "─"
    floor_tick: str = "┬"
    cursor: str = "│"
    cursor_foot: str = "┴"
    curve: str = "─"
    best: str = "◆"
    above: str = "↑"
    checkpoint: str = "▴"
    resume: str = "▸"
    roll_back: str = "◂"
    non_finite: str = "×"
    rate: str = "±"
    last_step: str = "»"
    pause: str = "‖"
    dash: str = "–"
    dot: str = "·"


@dataclass(frozen=True)
class DotStyle:
    """How curves are drawn: a cell is `wide` × `high` dots.

    `glyphs` has a sign for each pattern of dots, the left column's dots first, the topmost the lowest bit.
    `levels` are bars from empty to full.
    """

    name: str
    wide: int
    high: int
    glyphs: str
    levels: str
    signs: Signs = Signs()


def _braille_glyphs() -> str:
    bits = (0x01, 0x02, 0x04, 0x40, 0x08, 0x10, 0x20, 0x80)
    patterns = (sum(bit for place, bit in enumerate(bits) if pattern >> place & 1) for pattern in range(256))
    return "".join(chr(0x2800 + pattern) if pattern else " " for pattern in patterns)


_ASCII_SIGNS = Signs("|", "+", "+", "-", "+", "|", "+", "-", "*", "^", "^", ">", "<", "x", "~", "}", "=", "-", "|")

BRAILLE = DotStyle("braille", 2, 4, _braille_glyphs(), " ▁▂▃▄▅▆▇█")
BLOCKS = DotStyle("blocks", 2, 2, " ▘▖▌▝▀▞▛▗▚▄▙▐▜▟█", " ▁▂▃▄▅▆▇█")
ASCII = DotStyle("ascii", 1, 2, " '.:", " .:=#", _ASCII_SIGNS)

STYLES: dict[str, DotStyle] = {style.name: style for style in (BRAILLE, BLOCKS, ASCII)}


@dataclass(frozen=True)
class Curve:
    """Values on columns of dots; None is a gap. `role` names its colour; shaded, every other dot is left out."""

    columns: Sequence[Column | None]
    role: str
    is_shaded: bool = False


class Canvas:
    """Width × height cells, drawn on from back to front: where two curves meet in a cell, it belongs to the later.

    Dots of two colours in one cell would be a blot.
    """

    def __init__(self, style: DotStyle, width: int, height: int, low: float, high: float) -> None:
        """An empty canvas.

        Args:
            style: the dots.
            width: cells; a curve has at most `width * style.wide` columns, whole cells of them.
            height: cells.
            low: the value of the lowest dot.
            high: the value of the highest dot; above `low`.
        """
        self.style, self.width, self.height = style, width, height
        self._top, self._last_row = high, height * style.high - 1
        self._span = high - low
        self._shade = 4 ** (height * style.high) // 3  # every other bit
        self._glyphs = [[" "] * width for _ in range(height)]
        self._roles = [[""] * width for _ in range(height)]

    def plot(self, curve: Curve) -> None:
        """Draws a curve on top of what is there."""
        high, wide, role = self.style.high, self.style.wide, curve.role
        masks = self._masks(curve)
        inside = (1 << high) - 1
        for x in range(len(masks) // wide):
            left = masks[x * wide]
            right = masks[x * wide + 1] if wide == 2 else 0
            both = left | right
            if not both:
                continue
            for y in range(((both & -both).bit_length() - 1) // high, (both.bit_length() - 1) // high + 1):
                dots = left >> y * high & inside | (right >> y * high & inside) << high
                if dots:
                    self._glyphs[y][x], self._roles[y][x] = self.style.glyphs[dots], role

    def put(self, x: int, y: int, text: str, role: str) -> None:
        """Writes text of one-cell characters over what is there; what does not fit is left out."""
        for place, character in enumerate(text[: max(0, self.width - x)], start=x):
            self._glyphs[y][place], self._roles[y][place] = character, role

    def is_free(self, x: int, y: int, width: int) -> bool:
        """Whether nothing is drawn on some cells of the canvas."""
        return 0 <= y < self.height and not "".join(self._glyphs[y][x : x + width]).strip()

    def row(self, value: float) -> int:
        """The row of cells of a value, 0 at the top."""
        return self._dot_row(value) // self.style.high

    def lines(self) -> list[Line]:
        """What was drawn."""
        return [_as_line(glyphs, roles) for glyphs, roles in zip(self._glyphs, self._roles, strict=True)]

    def _dot_row(self, value: float) -> int:
        row = (self._top - value) / self._span * self._last_row
        return 0 if row <= 0 else self._last_row if row >= self._last_row else round(row)

    def _masks(self, curve: Curve) -> list[int]:
        """The dots of each column as the bits of a number, the topmost the lowest; a gap has none."""
        masks = []
        before: tuple[int, int] | None = None
        for x, column in enumerate(curve.columns):
            if column is None:
                before = None
                masks.append(0)
                continue
            top = self._dot_row(column[1])
            bottom = top if column[0] == column[1] else self._dot_row(column[0])
            own = (top, bottom)
            if before is not None:  # reach to the neighbour, so that a steep curve has no holes
                top, bottom = min(top, before[1] + 1), max(bottom, before[0] - 1)
            mask = (2 << bottom) - (1 << top)
            if curve.is_shaded:  # its ends are drawn, whatever the shade leaves out
                mask = mask & (self._shade << x % 2) | 1 << own[0] | 1 << own[1]
            masks.append(mask)
            before = own
        return masks


def draw(style: DotStyle, width: int, height: int, curves: Sequence[Curve], low: float, high: float) -> list[Line]:
    """Curves, from back to front, on width × height cells between two values."""
    canvas = Canvas(style, width, height, low, high)
    for curve in curves:
        canvas.plot(curve)
    return canvas.lines()


def _as_line(glyphs: list[str], roles: list[str]) -> Line:
    line: Line = []
    start = 0
    for role, cells in groupby(roles):
        end = start + len(list(cells))
        line.append(("".join(glyphs[start:end]), role))
        start = end
    return line
