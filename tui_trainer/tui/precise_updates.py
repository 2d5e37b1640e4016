"""Sends the cells that changed and the colours that differ from those before them, and counts the bytes.

Textual 8.2 crops a partial update only at its right end, and sets all colours of a piece of text, then resets them.
Both ends cropped and colours set only where they change, a steady training at 120×40 takes what benchmarks/screen.py
prints instead of 11.8 kB/s. This reaches into private parts of Textual's, so pyproject.toml pins its minor version;
without this file everything still works, with more bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from rich.color import Color, ColorSystem
from rich.console import Console
from rich.control import Control
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.screen import Screen
from textual.strip import Strip

PLAIN = ("", "39", "49")
"""Attributes, foreground and background of a terminal after a reset, as parameters of SGR."""


class Pen:
    """Text in its style as escape sequences: only what differs from the text before is set."""

    def __init__(self, colours: ColorSystem) -> None:
        """On a terminal that is reset."""
        self._colours = colours
        self._now = PLAIN

    def write(self, strip: Strip) -> str:
        """A strip; links are left out, for there are none on our screens."""
        return "".join(self._set(_codes(style, self._colours), text) + text for text, style, _ in strip)

    def reset(self) -> str:
        """What puts the terminal back to where it began."""
        return "" if self._now == PLAIN else "\x1b[0m"

    def _set(self, codes: tuple[str, str, str], text: str) -> str:
        before, (attributes, foreground, background) = self._now, codes
        if attributes == before[0] == "" and not text.strip(" "):
            foreground = before[1]  # a blank has none
        self._now = (attributes, foreground, background)
        if attributes != before[0]:
            changed = ["0", *(each for each in self._now if each not in PLAIN)]
        else:
            changed = [new for new, old in zip(self._now, before, strict=True) if new != old]
        return f"\x1b[{';'.join(changed)}m" if changed else ""


@lru_cache(maxsize=4096)
def _codes(style: Style | None, colours: ColorSystem) -> tuple[str, str, str]:
    def colour(given: Color | None, plain: str, *, is_text: bool) -> str:
        return ";".join(given.downgrade(colours).get_ansi_codes(is_text)) if given else plain

    if style is None:
        return PLAIN
    attributes = Strip.render_ansi(style.without_color, colours)
    return attributes, colour(style.color, PLAIN[1], is_text=True), colour(style.bgcolor, PLAIN[2], is_text=False)


class PreciseUpdate(ChopsUpdate):
    """Spans of cells, each cropped at both ends."""

    def __init__(self, update: ChopsUpdate, on_sent: Callable[[int], None]) -> None:
        """The same update; `on_sent` hears how many bytes it takes."""
        super().__init__(update.chops, update.spans, update.chop_ends)
        self._on_sent = on_sent

    def render_segments(self, console: Console) -> str:
        """The escape sequences that bring the terminal up to date."""
        sequences: list[str] = []
        pen = Pen(console._color_system or ColorSystem.TRUECOLOR)
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                start, stop = max(x, first), min(end, last)
                if strip is not None and start < stop:
                    sequences.append(Control.move_to(start, y).segment.text)
                    sequences.append(pen.write(strip.crop(start - x, stop - x)))
        text = "".join([*sequences, pen.reset()])
        self._on_sent(len(text.encode()))
        return text


class PreciseCompositor(Compositor):
    """Textual's compositor with precise partial updates."""

    sent_bytes = 0
    """Of all partial updates so far."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What changed since the last call, or None."""
        update = super().render_partial_update()
        return update and PreciseUpdate(update, self._count)

    def _count(self, sent: int) -> None:
        self.sent_bytes += sent


class PreciseScreen(Screen[None]):
    """A screen that updates precisely."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor: PreciseCompositor = PreciseCompositor()

    @property
    def sent_bytes(self) -> int:
        """What its partial updates sent to the terminal so far."""
        return self._compositor.sent_bytes
