"""Every key of the monitor, in one table: what it does, what the footer calls it, and what the help says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Key:
    """One action. `keys` as Textual names them; `sign` as a person reads it on the keyboard."""

    keys: str
    action: str
    label: str
    help: str
    sign: str = ""
    is_in_footer: bool = False
    is_priority: bool = False

    @property
    def name(self) -> str:
        """The action without its arguments."""
        return self.action.partition("(")[0]

    @property
    def shown(self) -> str:
        """The key as the help shows it."""
        return self.sign or self.keys


LEAVING = (
    Key("p", "prompt", "prompt", "write a prompt; Enter asks, Tab goes to the settings, Escape leaves",
        is_in_footer=True, is_priority=True),
    Key("space", "pause", "pause", "pause the training, or go on; it is saved first", "space", is_in_footer=True),
    Key("s", "save", "save", "save a checkpoint now", is_in_footer=True),
    Key("d", "detach", "detach", "leave the screen and let the training go on in a process of its own; "
        "come back with tui-trainer attach", is_in_footer=True),
)  # fmt: skip
STEERING = (
    Key("e", "evaluate", "evaluate", "measure the validation loss now"),
    Key("w", "sample", "sample", "have the model write a sample now"),
    Key("r", "change_rate", "rate", "change the learning rate; resume a run that nobody trains"),
    Key("m", "change_last_step", "last step", "change the last step; train longer when it has ended"),
    Key("x", "stop", "stop", "stop and save the training, and stay"),
    Key("n", "start_again", "start again", "start a new run with the same settings, when this one has ended"),
)
CHARTS = (
    Key("c", "next_view", "charts", "the next chart; C: the one before", "c  C", is_in_footer=True),
    Key("C,shift+c", "previous_view", "chart before", "the chart before", "C"),
    Key("left", "cursor(-1)", "cursor", "move the cursor that reads out values; Escape hides it", "← →"),
    Key("right", "cursor(1)", "cursor right", "move the cursor to the right", "→"),
    Key("escape", "hide_cursor", "hide cursor", "hide the cursor", "esc"),
    Key("plus,equals_sign", "zoom(0.5)", "zoom in", "zoom in and out, around the cursor", "+ -"),
    Key("minus,underscore", "zoom(2.0)", "zoom out", "zoom out", "-"),
    Key("comma,shift+left,left_square_bracket", "pan(-0.5)", "pan left", "look at earlier and at later steps", ", ."),
    Key("full_stop,shift+right,right_square_bracket", "pan(0.5)", "pan right", "look at later steps", "."),
    Key("0,home", "show_all", "whole run", "the whole run", "0"),
    Key("f,end", "follow", "follow", "follow the newest steps", "f"),
    Key("y", "toggle_log", "log scale", "logarithmic scale, or linear"),
    Key("a", "toggle_smoothing", "smooth", "smooth the curve of the single steps, or not"),
)
SCREEN = (
    Key("z", "enlarge", "enlarge", "enlarge the focused pane to the whole screen, and back; Tab moves the focus"),
    Key("v", "explain_verdict", "verdict", "the verdict in full, and the history of advice"),
    Key("l", "show_feed", "log", "everything that happened, newest first"),
    Key("pageup", "scroll_answer(-1)", "scroll up", "scroll the answer; ↑ ↓ by a line", "PgUp"),
    Key("pagedown", "scroll_answer(1)", "scroll down", "scroll down", "PgDn"),
    Key("up", "scroll_line(-1)", "line up", "scroll the answer by a line", "↑ ↓"),
    Key("down", "scroll_line(1)", "line down", "scroll the answer by a line", "↓"),
    Key("b", "back", "presets", "back to the list, when the training has ended", is_in_footer=True),
)  # fmt: skip
MONITOR_KEYS = (*LEAVING, *STEERING, *CHARTS, *SCREEN)

EVERYWHERE = (
    Key("question_mark", "explain", "explain", "what the figures mean, and every key", "?", is_in_footer=True),
    Key("ctrl+p", "command_palette", "menu", "search all commands; Theme has several", "^p", is_in_footer=True),
    Key("q", "quit", "quit", "leave: stop and save, or detach; an attached screen just closes", is_in_footer=True),
)

STEERING_ACTIONS = frozenset({"pause", "save", "evaluate", "sample", "stop"})
"""What only works where somebody trains and may be asked."""
REVIVING_ACTIONS = frozenset({"change_rate", "change_last_step", "start_again"})
"""What works where somebody trains, or where the training is over and may be taken up again."""
CHART_ACTIONS = frozenset(key.name for key in CHARTS)
"""What only works where there is room for the chart."""


def bindings(keys: Sequence[Key]) -> list[BindingType]:
    """The table as Textual wants it."""
    return [
        Binding(key.keys, key.action, key.label, show=key.is_in_footer, priority=key.is_priority, tooltip=key.help)
        for key in keys
    ]
