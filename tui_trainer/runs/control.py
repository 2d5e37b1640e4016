"""Commands to a running trainer: one JSON file each, made by rename, removed once applied."""

from __future__ import annotations

import getpass
import json
import os
import stat
import time
import uuid
from contextlib import suppress
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


def name_requester() -> str:
    """Who asks, for the log: the user, and at which terminal."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        user = str(os.getuid())
    try:
        return f"{user} on {os.ttyname(0).removeprefix('/dev/')}"
    except OSError:
        return user


def setting_value(key: str, text: str) -> dict[str, Any]:
    """The value of a `set` command, as it was typed: a number where it is one."""
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        value = text
    return {"key": key, "value": value if isinstance(value, int | float | bool) else text}


def send_command(control: Path, action: str, requested_by: str, value: Any = None) -> str:
    """Puts a command into a run's `control/` folder and returns its id.

    Raises:
        OSError: when nothing can be written there.
    """
    # The time is in the id because a file system may give two files made within milliseconds the same time.
    command_id = f"{time.time_ns():020}-{uuid.uuid4().hex[:8]}"
    content = {"id": command_id, "action": action, "value": value, "requested_by": requested_by}
    replace_file(_file_of(control, command_id), json.dumps(content).encode())
    return command_id


def withdraw_command(control: Path, command_id: str) -> None:
    """Takes back a command that nobody took, so that it is not met with when the run goes on."""
    with suppress(OSError):  # taken after all, or the run is gone
        _file_of(control, command_id).unlink()


def take_commands(control: Path) -> list[Command]:
    """Removes and returns the commands that wait, oldest first; a file that is no command is removed too."""
    commands = []
    for path in _waiting(control):
        content = read_json(path) or {}
        try:
            path.unlink()
        except OSError:  # Taken by somebody else, or not ours to remove: it would be applied again and again.
            continue
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


def _file_of(control: Path, command_id: str) -> Path:
    return control / f"{command_id}.json"


def _waiting(control: Path) -> list[Path]:
    """The regular files that wait, oldest first: opening a FIFO would never return."""
    waiting = []
    for path in control.glob("*.json"):
        try:
            state = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISREG(state.st_mode):
            waiting.append((state.st_mtime_ns, path))
    return [path for _, path in sorted(waiting)]
