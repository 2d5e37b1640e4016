"""Commands to a running trainer: one JSON file each, made by rename, removed once applied."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer.runs.files import read_json, replace_file


@dataclass(frozen=True)
class Command:
    """What somebody asks of the trainer, and who."""

    id: str
    action: str
    value: Any
    requested_by: str


def send_command(control: Path, action: str, requested_by: str, value: Any = None) -> str:
    """Puts a command into a run's `control/` folder and returns its id."""
    command_id = uuid.uuid4().hex[:12]
    content = {"id": command_id, "action": action, "value": value, "requested_by": requested_by}
    replace_file(control / f"{command_id}.json", json.dumps(content).encode())
    return command_id


def take_commands(control: Path) -> list[Command]:
    """Removes and returns the commands that wait, oldest first; a file that is no command is removed too."""
    try:
        waiting = [(entry.stat().st_mtime_ns, entry) for entry in control.glob("*.json")]
    except FileNotFoundError:
        return []
    commands = []
    for _, path in sorted(waiting):
        content = read_json(path) or {}
        path.unlink(missing_ok=True)
        if {"id", "action"} <= content.keys():
            commands.append(
                Command(
                    str(content["id"]),
                    str(content["action"]),
                    content.get("value"),
                    str(content.get("requested_by", "somebody")),
                )
            )
    return commands
