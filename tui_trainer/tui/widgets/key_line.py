"""The keys that work now, in one line that always fits: in Textual's footer the last ones fall off a narrow screen."""

from __future__ import annotations

from typing import NamedTuple

from textual import events
from textual.binding import Binding
from textual.screen import Screen

from tui_trainer.tui.lines import Line, width_of
from tui_trainer.tui.pane import Pane

PALETTE = "command_palette"


class ShownKey(NamedTuple):
    """A key as it is pressed, as it is written, and what it does in a word."""

    key: str
    sign: str
    label: str


class KeyLine(Pane):
    """Keys with their labels, the most important first; where there is no room the last labels go first."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._on_change)

    def _on_change(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.redraw()

    def draw_lines(self, width: int, height: int) -> list[Line]:
        keys = self._keys()
        labelled = [bool(key.label) for key in keys]
        for index in reversed(range(len(keys) - 1)):  # the way out keeps its name
            if _width(keys, labelled) <= width:
                break
            labelled[index] = False
        while keys and _width(keys, labelled) > width:
            del keys[-2 if len(keys) > 1 else -1], labelled[-2 if len(labelled) > 1 else -1]
        line: Line = []
        self._spans = []
        for key, has_label in zip(keys, labelled, strict=True):
            line.append((" ", ""))
            start = width_of(line)
            line += [(key.sign, "key"), (f" {key.label} " if has_label else "", "label")]
            self._spans.append((start, width_of(line), key.key))
        return [line]

    def on_click(self, event: events.Click) -> None:
        """A click on a key is the key."""
        for start, end, key in self._spans:
            if start <= event.x < end:
                self.app.simulate_key(key)

    def _keys(self) -> list[ShownKey]:
        """Of the focused part of the screen, the screen and the app; the palette before the way out."""
        active = [each.binding for each in self.screen.active_bindings.values() if each.enabled and each.binding.show]
        why_not = getattr(self.screen, "why_not", lambda _action: None)
        shown = [each for each in active if each.action != PALETTE and not why_not(each.action.partition("(")[0])]
        palette = [each for each in active if each.action == PALETTE]
        ways_out = [each for each in shown if each.action in ("quit", "app.quit")]
        others = [each for each in shown if each not in ways_out]
        return [self._shown(binding) for binding in (*others, *palette, *ways_out)]

    def _shown(self, binding: Binding) -> ShownKey:
        return ShownKey(binding.key, self.app.get_key_display(binding), binding.description)


def _width(keys: list[ShownKey], labelled: list[bool]) -> int:
    """Cells that the keys take, with the labels that are wanted."""
    line: Line = []
    for key, has_label in zip(keys, labelled, strict=True):
        line += [(" ", ""), (key.sign, ""), (f" {key.label} " if has_label else "", "")]
    return width_of(line)
