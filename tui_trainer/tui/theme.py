"""Colours with a meaning, dark and light. Blue and orange tell train from validation for everybody."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="tui-trainer-dark",
    primary="#6cb2eb",
    secondary="#f0a35e",
    accent="#8fb8de",
    success="#5fbf9f",
    warning="#e3c567",
    error="#e5737b",
    foreground="#d5dae0",
    background="#101418",
    surface="#151a20",
    panel="#1c232b",
    dark=True,
    variables={
        "train": "#6cb2eb",
        "val": "#f0a35e",
        "label": "#8592a0",
        "quiet": "#54606c",
        "line": "#36414c",
        "border-blurred": "#36414c",
    },
)

LIGHT = Theme(
    name="tui-trainer-light",
    primary="#1f6fb2",
    secondary="#b85c00",
    accent="#2c5f8a",
    success="#1b7f5f",
    warning="#8a6100",
    error="#b3333d",
    foreground="#22282e",
    background="#fafaf8",
    surface="#f3f3f0",
    panel="#e8e8e4",
    dark=False,
    variables={
        "train": "#1f6fb2",
        "val": "#b85c00",
        "label": "#5c6670",
        "quiet": "#98a1a9",
        "line": "#c3c9ce",
        "border-blurred": "#c3c9ce",
    },
)

VARIABLE_DEFAULTS = {
    "train": "#6cb2eb",
    "val": "#f0a35e",
    "label": "#8592a0",
    "quiet": "#54606c",
    "line": "#36414c",
}
"""For Textual's own themes, which know nothing of ours."""
