"""What the model wrote: for a person who asked, or of its own accord at an evaluation."""

from __future__ import annotations

from tui_trainer.events import SampleGenerated
from tui_trainer.monitor.safe_text import safe_text
from tui_trainer.tui.lines import Line, break_off, width_of, wrap
from tui_trainer.tui.pane import Pane

CURSOR = "▌"
MAX_SAMPLE = 4000
"""Characters of a sample that are looked at; no panel shows more."""


class Answer(Pane):
    """The prompt and what came of it; the end stays in sight. Until somebody asks: a hint, or the newest sample."""

    prompt = ""
    text = ""
    hint = ""
    is_running = False
    sample: SampleGenerated | None = None

    def show_sample(self, sample: SampleGenerated | None) -> None:
        """Shows another sample; the same one again costs nothing."""
        if sample is not self.sample:
            self.sample = sample
            self.redraw()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        if self.sample:
            return _sample_lines(self.sample, width, height)
        if self.hint:
            return [[(" " + piece, "label")] for piece in wrap(self.hint, width - 2)]
        return _continued(self.prompt, self.text + (CURSOR if self.is_running else ""), width)[-height:]


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


def _sample_lines(sample: SampleGenerated, width: int, height: int) -> list[Line]:
    """When it was written, and its beginning: it is complete, so nothing new comes at its end."""
    head: Line = [(f" sample of step {sample.step:,}", "label")]
    quote: Line = [(f"   longest quote of the text: {sample.quoted_tokens:,} of {sample.tokens:,} tokens", "quiet")]
    if sample.tokens > 0 and width_of([*head, *quote]) < width:
        head += quote
    lines = [head, *_continued(safe_text(sample.prompt[:MAX_SAMPLE]), safe_text(sample.text[:MAX_SAMPLE]), width)]
    if len(lines) > height:
        lines[height - 1] = break_off(lines[height - 1], width)
    return lines[:height]
