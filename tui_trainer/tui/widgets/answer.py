"""What the model wrote: for a person who asked, or of its own accord at an evaluation."""

from __future__ import annotations

from textual.message import Message

from tui_trainer.events import SampleGenerated
from tui_trainer.monitor.safe_text import safe_text
from tui_trainer.tui.lines import Line, width_of, wrap
from tui_trainer.tui.pane import Pane

CURSOR = "▌"
MAX_SAMPLE = 4000
"""Characters of a sample that are shown."""


class Answer(Pane):
    """The prompt and what came of it; the end stays in sight. Until somebody asks: a hint, or the newest sample."""

    prompt = ""
    text = ""
    hint = ""
    is_running = False
    sample: SampleGenerated | None = None
    _scrolled: int | None = None
    """Lines above the first that is shown; None: the end of an answer, the beginning of a sample."""
    hidden = (0, 0)
    """Lines above and below those that are shown."""

    def scroll_lines(self, lines: int) -> None:
        """Moves the text, up for negative numbers."""
        above, below = self.hidden
        self._scrolled = max(0, min(above + below, above + lines))
        if lines > 0 and self._scrolled == above + below and not self.sample:
            self._scrolled = None  # at the end again: what comes next stays in sight
        self.redraw()

    def show_end(self) -> None:
        """Follows a new answer."""
        self._scrolled = None

    class Drawn(Message):
        """It was drawn for another size."""

    def on_resize(self) -> None:
        super().on_resize()
        self.post_message(self.Drawn())

    def show_sample(self, sample: SampleGenerated | None) -> None:
        """Shows another sample; the same one again costs nothing."""
        if sample is not self.sample:
            self.sample, self._scrolled = sample, None
            self.redraw()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if self.sample:
            lines, first = _sample_lines(self.sample, width), 0
        elif self.hint:
            lines, first = [[(" " + piece, "label")] for piece in wrap(self.hint, width - 2)], 0
        else:
            lines = _continued(self.prompt, self.text + (CURSOR if self.is_running else ""), width)
            first = len(lines) - height
        last_first = max(0, len(lines) - height)
        first = max(0, min(last_first, first if self._scrolled is None else self._scrolled))
        self.hidden = (first, last_first - first)
        return lines[first : first + height]


def _continued(prompt: str, text: str, width: int) -> list[Line]:
    """The prompt and the text that goes on from it."""
    whole = prompt + text
    lines: list[Line] = []
    position = 0
    for piece in wrap(whole, width - 2):
        position = whole.index(piece, position)
        inside = max(0, min(len(piece), len(prompt) - position))
        if piece.strip():  # there are few lines: an empty one would push text out of sight
            lines.append([(" " + piece[:inside], "label"), (piece[inside:], "value")])
        position += len(piece)
    return lines


def _sample_lines(sample: SampleGenerated, width: int) -> list[Line]:
    """When it was written, and the text."""
    head: Line = [(f" sample of step {sample.step:,}", "label")]
    quote: Line = [(f"   longest quote of the text: {sample.quoted_tokens:,} of {sample.tokens:,} tokens", "quiet")]
    if sample.tokens > 0 and width_of([*head, *quote]) < width:
        head += quote
    return [head, *_continued(safe_text(sample.prompt[:MAX_SAMPLE]), safe_text(sample.text[:MAX_SAMPLE]), width)]
