"""What somebody asked of a running training, in words."""

from __future__ import annotations

import json
from typing import Any

from tui_trainer.events import ControlApplied, ControlDiscarded, Event
from tui_trainer.monitor.run_state import RunState

MAX_VALUE = 60
DONE = {"pause": "paused", "resume": "continued", "save": "saving", "stop": "stopping"}
"""Commands that are met when they are answered, in the past tense."""


def setting_of(event: ControlApplied | ControlDiscarded) -> tuple[str, Any] | None:
    """The key and the value of a command that sets something, for instance ("training.learning_rate", 0.0005)."""
    if event.action != "set" or not isinstance(event.value, dict):
        return None
    key = event.value.get("key")
    return (key, event.value.get("value")) if isinstance(key, str) else None


def control_text(event: ControlApplied | ControlDiscarded) -> str:
    """`training.learning_rate = 0.0005` for what sets something, else the action's own name."""
    setting = setting_of(event)
    if setting is None:
        return event.action
    value = setting[1] if isinstance(setting[1], str) else json.dumps(setting[1], ensure_ascii=False)
    return f"{setting[0]} = {value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + '…'}"


def control_news(event: Event, reader: str = "") -> str | None:
    """A command that was answered, in a line: what, by whom unless that is the reader, and why not if it failed."""
    if not isinstance(event, ControlApplied | ControlDiscarded):
        return None
    by = "" if event.requested_by == reader else f", asked for by {event.requested_by}"
    if isinstance(event, ControlApplied):
        what = DONE.get(event.action) if reader else None
        return f"{what or control_text(event)}{by}"
    why = f": {event.reason.splitlines()[0]}" if event.reason else ""
    return f"{control_text(event)} had no effect{by}{why}"


def is_preparing_text(state: RunState) -> bool:
    """Whether it is before its first step, so that a pause there saves nothing and its step says nothing."""
    return state.phase is not None and state.phase.phase == "preparing_data"
