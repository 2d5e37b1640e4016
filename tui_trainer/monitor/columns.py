"""Rows as aligned columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len


def align(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Rows of equal length as columns two spaces apart; the columns in `right` are flushed right."""
    return "\n".join(align_lines(rows, right))


def align_lines(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """The same as a line for each row, whatever its cells hold."""
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (width - cell_len(cell))
            cells.append(gap + cell if column in right else cell + gap)
        lines.append("  ".join(cells).rstrip())
    return lines
