"""Text on the whole screen that can be scrolled: the verdict in full, and everything that happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Label

from tui_trainer.events import AdviceCleared, AdviceRaised
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.tui.lines import Line, cut, wrap
from tui_trainer.tui.pane import Pane
from tui_trainer.tui.widgets.event_feed import event_line
from tui_trainer.tui.widgets.verdict_line import ROLES, SIGNS, judge_run

MakeLines = Callable[[int], list[Line]]


class _Text(Pane):
    """As many lines as the text needs."""

    def __init__(self, make_lines: MakeLines) -> None:
        super().__init__(id="reading-text")
        self._make_lines = make_lines

    def draw_lines(self, width: int, height: int) -> list[Line]:
        return self._make_lines(width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._make_lines(width))


class ReadScreen(ModalScreen[None]):
    """Scrolls; any of the leaving keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,v,l", "dismiss", "close"),
        Binding("ctrl+c", "app.leave", show=False),
    ]

    def __init__(self, title: str, make_lines: MakeLines) -> None:
        """Shows lines.

        Args:
            title: of the frame.
            make_lines: the text for a width in cells.
        """
        super().__init__()
        self._title, self._make_lines = title, make_lines

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="reading") as scroll:
            scroll.border_title = self._title
            yield _Text(self._make_lines)
        yield Label("↑ ↓ scroll   esc close", id="explain-keys")


def verdict_text(follower: RunFollower, failure: str | None, width: int) -> list[Line]:
    """The verdict with its evidence and remedy, all other advice, and when which advice came and went."""
    level, text, remedy = judge_run(follower, failure)
    lines: list[Line] = [
        *_paragraph(f"{SIGNS[level]} {text}", ROLES[level], width),
        *_paragraph(remedy, "label", width),
    ]
    for advice in follower.standing_advice:
        name = safe_line(advice.rule).replace("_", " ")
        role = ROLES.get(advice.level, "note")
        lines += [[], [(name, role)], *_paragraph(advice.evidence, "value", width)]
        lines += _paragraph(advice.remedy, "label", width)
        figures = [f"{key.replace('_', ' ')} {value:g}" for key, value in advice.values.items() if value is not None]
        lines += _paragraph("   ".join(figures), "quiet", width)
    history = [each for each in follower.state.feed if isinstance(each.event, AdviceRaised | AdviceCleared)]
    lines += [[], [("advice so far, newest first", "accent")]]
    if not history:
        lines.append([("none", "label")])
    for record in reversed(history):
        event = record.event
        assert isinstance(event, AdviceRaised | AdviceCleared)
        when = f"{datetime.fromtimestamp(record.time):%H:%M:%S}  step {event.step:,}  {event.rule.replace('_', ' ')}"
        what = event.evidence if isinstance(event, AdviceRaised) else "has passed"
        lines += _paragraph(f"{when}: {what}", "label", width)
    return lines


def feed_text(follower: RunFollower, width: int) -> list[Line]:
    """Everything that happened, newest first."""
    lines = [cut(event_line(record), width) for record in reversed(follower.state.feed)]
    return lines or [[("nothing yet", "label")]]


def _paragraph(text: str, role: str, width: int) -> list[Line]:
    return [[(piece, role)] for line in text.splitlines() for piece in wrap(safe_line(line), width)]
