"""What stands on a chart's frame: its name and the signs of its curves, how it is looked at, the signs of its marks."""

from __future__ import annotations

from tui_trainer.monitor.history import History
from tui_trainer.tui.chart.marks import KINDS, MarkKind
from tui_trainer.tui.chart.picture import Look
from tui_trainer.tui.chart.viewport import Mode

FRAME = 6
"""Cells beside a title, for the frame and its distance."""
DISTANCE = "   "
COLOURS = {"value": "foreground", "best": "success", "wrong": "error", "note": "accent"}
"""The theme's names of roles, where they differ."""


def name_view(look: Look) -> str:
    """The view and its curves, as markup of words and signs of this program alone."""
    signs, view = look.style.signs, look.view
    legend = [
        _coloured(signs.curve, source.role) + f" {source.name}" for source in view.sources if len(view.sources) > 1
    ]
    legend += [_coloured(signs.best, "best") + " best"] if view.best else []
    return "   ".join([view.title, *(["  ".join(legend)] if legend else [])])


def describe_look(look: Look, mode: Mode, history: History, width: int) -> str:
    """Which steps are shown and how, as markup; before it, as far as there is room, what the signs at the foot mean."""
    signs = look.style.signs
    words = [
        mode,
        *(["log"] if look.is_log else []),
        *(["smoothed"] if look.is_smoothed and look.view.is_noisy else []),
    ]
    description = f" {signs.dot} ".join(words)
    room, marks = width - FRAME - len(description), []
    for kind in _kinds_in_sight(look, history):
        room -= len(f"{kind.sign(signs)} {kind.word}{DISTANCE}")
        if room >= 0:
            marks.append(f"{_coloured(kind.sign(signs), kind.role)} {kind.word}")
    return DISTANCE.join([*marks, description])


def _kinds_in_sight(look: Look, history: History) -> list[MarkKind]:
    first, last = look.window
    sources = [source.series(history) for source in look.view.sources]
    has_gap = any(series.gaps(1, first, last)[0] for series in sources)
    return [
        kind
        for kind in KINDS
        if any(first <= step <= last for step in history.marks.steps(kind.kind))
        or (kind.kind == "non_finite" and has_gap)
    ]


def _coloured(sign: str, role: str) -> str:
    return f"[${COLOURS.get(role, role)}][${role}-style]{sign}[/][/]"
