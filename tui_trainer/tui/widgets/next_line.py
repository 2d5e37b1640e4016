"""What can I do next? The keys that make sense now, and for a moment what came of the last one."""

from __future__ import annotations

import time

from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.tui.lines import Line, cut, width_of
from tui_trainer.tui.widgets.run_pane import RunPane

NOTE_SECONDS = 6.0


class NextLine(RunPane):
    """One line below the verdict."""

    _steps: tuple[tuple[str, str], ...] = ()
    _prefix = ""
    _note = ""
    _noted_until = 0.0

    def note(self, text: str, seconds: float = NOTE_SECONDS) -> None:
        """Says something for a while, in the place of the keys."""
        self._note, self._noted_until = safe_line(text), time.monotonic() + seconds
        self.redraw()

    def offer(self, steps: list[tuple[str, str]], prefix: str = "") -> None:
        """Names the keys, the most useful first, after a word on how the run is watched."""
        self._steps, self._prefix = tuple(steps), prefix
        self.redraw()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if time.monotonic() < self._noted_until:
            return [cut([(" ", ""), (self._note, "note")], width)]
        line: Line = [(f" {self._prefix}", "note")] if self._prefix else []
        for index, (key, words) in enumerate(self._steps):
            lead = " → next: " if index == 0 and not self._prefix else "   "
            longer: Line = [*line, (lead, "accent"), (key, "key"), (f" {words}", "label")]
            if width_of(longer) > width:
                break
            line = longer
        return [line]
