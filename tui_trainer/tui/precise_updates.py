"""Sends the cells that changed, not the line from the widget's left edge up to them.

Textual 8.2 crops a partial update only at its right end. Cropping both ends cut the traffic of a steady training at
120×40 from 11.8 kB/s to what benchmarks/screen.py prints. This reaches into private parts of Textual's, so
pyproject.toml pins its minor version; without this file everything still works, with more bytes.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.screen import Screen


class PreciseUpdate(ChopsUpdate):
    """Spans of cells, each cropped at both ends."""

    def render_segments(self, console: Console) -> str:
        """The escape sequences that bring the terminal up to date."""
        sequences: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                start, stop = max(x, first), min(end, last)
                if strip is not None and start < stop:
                    sequences.append(Control.move_to(start, y).segment.text)
                    sequences.append(strip.crop(start - x, stop - x).render(console))
        return "".join(sequences)


class PreciseCompositor(Compositor):
    """Textual's compositor with precise partial updates."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What changed since the last call, or None."""
        update = super().render_partial_update()
        return update and PreciseUpdate(update.chops, update.spans, update.chop_ends)


class PreciseScreen(Screen[None]):
    """A screen that updates precisely."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = PreciseCompositor()
