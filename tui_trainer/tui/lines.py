"""Lines of text with roles: what a pane shows, before colours."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size, split_graphemes

Span = tuple[str, str]
"""Some text and its role: "" for plain, else a name such as `label` or `train` that the theme gives a colour."""

Line = list[Span]

NAME_WIDTH = 15
"""Cells for the name of an `entry`."""
NARROW = 3 * NAME_WIDTH


def width_of(line: Line) -> int:
    """Cells that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def spread(left: Line, right: Line, width: int) -> Line:
    """One line with something at each end; the left end gives way when there is not room for both."""
    room = max(0, width - width_of(right) - 1)
    left = cut(left, room)
    return [*left, (" " * (width - width_of(left) - width_of(right)), ""), *right]


def cut(line: Line, width: int) -> Line:
    """The line, at most `width` cells of it, with an ellipsis where something is missing."""
    if width_of(line) <= width:
        return line
    kept: Line = []
    room = width - 1
    for text, role in line:
        taken = text if cell_len(text) <= room else set_cell_size(text, max(0, room))
        kept.append((taken, role))
        room -= cell_len(taken)
        if room <= 0:
            break
    return [*kept, ("…", "label")] if width > 0 else []


def break_off(line: Line, width: int) -> Line:
    """The line, ended by an ellipsis because there is no room for the lines after it."""
    return cut([*line, (" …", "label")], width)


def wrap(text: str, width: int) -> list[str]:
    """Text as lines of at most `width` cells, broken at spaces where there are any."""
    return [piece for paragraph in text.split("\n") for piece in _wrap_paragraph(paragraph, max(1, width))]


def entry(name: str, text: str, width: int) -> list[Line]:
    """A name and beside it what it means, in as many lines as that needs; below it where there is no room."""
    if width < NARROW or cell_len(name) >= NAME_WIDTH:
        return [[(name, "value")], *[[("  " + piece, "label")] for piece in wrap(text, width - 2)]]
    pieces = wrap(text, width - NAME_WIDTH)
    first: Line = [(name.ljust(NAME_WIDTH), "value"), (pieces[0], "label")]
    return [first, *[[(" " * NAME_WIDTH + piece, "label")] for piece in pieces[1:]]]


def changed_cells(old: Line, new: Line) -> tuple[int, int] | None:
    """The first and the past-last cell in which two lines differ, or None when they are the same."""
    if old == new:
        return None
    before, after = list(_cells(old)), list(_cells(new))
    start = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        start += 1
    end = max(len(before), len(after))
    if len(before) == len(after):
        while end > start and before[end - 1] == after[end - 1]:
            end -= 1
    return start, end


def _cells(line: Line) -> Iterator[Span]:
    """One entry a cell; the further cells of a wide character are empty, and what has no width has no entry."""
    for text, role in line:
        for start, end, width in split_graphemes(text)[0]:
            yield from [(text[start:end] if cell == 0 else "", role) for cell in range(width)]


def _wrap_paragraph(paragraph: str, width: int) -> Iterator[str]:
    while cell_len(paragraph) > width:
        taken = _fitting(paragraph, width)
        space = paragraph.rfind(" ", 0, taken + 1)
        end = space if space > 0 else taken
        yield paragraph[:end]
        paragraph = paragraph[end:].removeprefix(" ")
    yield paragraph


def _fitting(text: str, width: int) -> int:
    """How many characters fit into so many cells, whole graphemes only; at least one."""
    cells = 0
    for start, end, grapheme_width in split_graphemes(text)[0]:
        cells += grapheme_width
        if cells > width:
            return start or end
    return len(text)
