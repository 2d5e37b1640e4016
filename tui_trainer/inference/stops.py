"""Stop strings: where a text ends before its last token."""

from __future__ import annotations

from collections.abc import Sequence


class StopFinder:
    """Lets text through until one of some strings is complete; what may become one is held back until it is known."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Holds nothing back yet."""
        self._stops = tuple(stops)
        self._held = ""
        self.is_over = False
        """Whether a stop string came; it is not a part of the text, nor is what came after it."""

    def take(self, text: str) -> str:
        """What of the text so far can be shown now."""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.is_over = True
            shown, self._held = self._held[: min(places)], ""
            return shown
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown

    def rest(self) -> str:
        """What was held back and turned out to be text."""
        shown, self._held = self._held, ""
        return shown


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of a text that a stop string begins with."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
