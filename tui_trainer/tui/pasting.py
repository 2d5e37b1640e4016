"""Input in which a paste stays a paste.

Textual takes an ESC within a bracketed paste for the beginning of a key, and all that follows for more keys: a log
with colours, pasted into the prompt, would be typed letter by letter for minutes.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual._xterm_parser import XTermParser
from textual.message import Message

ESCAPE, SHOWN_ESCAPE = "\x1b", "␛"
START, END = "\x1b[200~", "\x1b[201~"


class PasteParser(XTermParser):
    """Textual's parser, which sees the sign of an ESC where a paste has one."""

    _is_pasting = False
    _recent = ""
    """The last of what was passed on: the mark of a beginning may come in two parts."""
    _held = ""
    """What may be the first part of the mark of an end."""

    def feed(self, data: str) -> Iterable[Message]:
        """Parses some more input; none is its end."""
        cleaned = "".join(self._cleaned(data))
        return () if data and not cleaned else super().feed(cleaned)

    def _cleaned(self, data: str) -> Iterable[str]:
        while data:
            if self._is_pasting:
                data, self._held = self._held + data, ""
                pasted, mark, data = data.partition(END)
                if not mark:
                    self._held = _beginning_of(END, pasted)
                    pasted = pasted.removesuffix(self._held)
                self._is_pasting = not mark
                yield pasted.replace(ESCAPE, SHOWN_ESCAPE) + mark
            else:
                before, mark, after = (self._recent + data).partition(START)
                typed = data[: len(data) - len(after)] if mark else data
                self._recent = "" if mark else before[1 - len(START) :]
                self._is_pasting, data = bool(mark), after
                yield typed


def _beginning_of(mark: str, text: str) -> str:
    """The longest beginning of a mark with which a text ends."""
    return next(mark[:length] for length in range(len(mark) - 1, -1, -1) if text.endswith(mark[:length]))
