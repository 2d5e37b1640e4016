"""Pane: a widget of lines that repaints only the cells that changed.

Textual repaints a whole widget for any change in it. Over a slow link that is most of the traffic, so a pane
compares its new lines with the old ones and asks for those cells alone.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.tui.dots import BRAILLE, DotStyle
from tui_trainer.tui.lines import Line, changed_cells

ROLES = ("label", "value", "band", "train", "val", "good", "note", "warning", "wrong", "accent", "quiet", "best", "key")


class Pane(Widget):
    """Shows the lines that `draw_lines` makes for its size."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"pane--{role}" for role in ROLES}

    def __init__(self, *, title: str = "", id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.border_title = title or None
        self._lines: list[Line] = []

    @property
    def dots(self) -> DotStyle:
        """How the app draws curves on this terminal."""
        return getattr(self.app, "dots", BRAILLE)

    def draw_lines(self, width: int, height: int) -> list[Line]:
        """The lines for a size in cells; at most `height` are shown. A pane of its own draws something."""
        return []

    def redraw(self) -> None:
        """Draws anew and repaints what became different."""
        width, height = self.size
        if not (width and height):
            return
        new = self._safe_lines(width, height)
        old, self._lines = self._lines, new
        for y in range(max(len(old), len(new))):
            span = changed_cells(old[y] if y < len(old) else [], new[y] if y < len(new) else [])
            if span:
                self.refresh(Region(span[0], y, max(1, span[1] - span[0]), 1))

    def on_resize(self) -> None:
        """Another size is another drawing."""
        self._lines = self._safe_lines(*self.size) if self.size else []
        self.refresh()

    def _safe_lines(self, width: int, height: int) -> list[Line]:
        """The drawing with every control character made visible, whoever forgot to."""
        return [[(safe_line(text), role) for text, role in line] for line in self.draw_lines(width, height)[:height]]

    def render_line(self, y: int) -> Strip:
        """One line in the colours of the theme."""
        if y >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        segments = [Segment(text, self._style_of(role)) for text, role in self._lines[y]]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _style_of(self, role: str) -> Style:
        return self.get_component_rich_style(f"pane--{role}") if role else self.rich_style
