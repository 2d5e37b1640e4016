"""Names of other libraries that are not promised to us, so that pyproject.toml allows only the releases tested here."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from typing import Any
from unittest.mock import MagicMock

import pytest
from rich.console import Console
from textual.app import App
from textual.screen import Screen


def textual_driver() -> Any:
    return import_module("textual.drivers.linux_driver").LinuxDriver(App())


def partial_update() -> Any:
    return import_module("textual._compositor").ChopsUpdate([], [], [])


def connection() -> Any:
    config, server = import_module("uvicorn.config"), import_module("uvicorn.server")
    protocol = import_module("uvicorn.protocols.http.h11_impl").H11Protocol
    return protocol(config.Config(None, lifespan="off"), server.ServerState(), {})


def cycle() -> Any:
    kind = import_module("uvicorn.protocols.http.h11_impl").RequestResponseCycle
    return kind(*(MagicMock() for _ in signature(kind).parameters))


def of(module: str, name: str = "") -> Callable[[], Any]:
    return lambda: getattr(import_module(module), name) if name else import_module(module)


DRIVER = "exit_event run_input_thread _app _file _get_terminal_size _sigtstp_application _sigcont_application"
CONNECTION = "conn cycle loop transport send_400_response connection_made data_received pause_writing resume_writing"
RELIED_ON = {
    "tui/pasting.py": ("textual", of("textual._xterm_parser", "XTermParser"), "feed"),
    "tui/driver.py, the parser": ("textual", of("textual.drivers.linux_driver"), "XTermParser"),
    "tui/driver.py": ("textual", textual_driver, DRIVER),
    "tui/precise_updates.py, Compositor": ("textual", of("textual._compositor", "Compositor"), "render_partial_update"),
    "tui/precise_updates.py, ChopsUpdate": ("textual", partial_update, "chops spans chop_ends render_segments"),
    "tui/precise_updates.py, Screen": ("textual", Screen, "_compositor"),
    "tui/screens/question.py": ("textual", Screen, "_bindings"),
    "cli/screen.py": ("textual", App, "_driver"),
    "tui/app.py": ("rich", Console, "_color_system"),
    "deploy/server/connection.py": ("uvicorn", connection, f"{CONNECTION} shutdown connection_lost"),
    "deploy/server/connection.py, cycle": ("uvicorn", cycle, "response_complete"),
    "deploy/server/connection.py, the server": ("uvicorn", of("uvicorn", "Server"), "capture_signals"),
    "deploy/server/connection.py, refusals": ("h11", of("h11"), "Response Data EndOfMessage"),
}


@pytest.mark.parametrize("place", RELIED_ON)
async def test_what_is_relied_on_is_there(place: str) -> None:
    library, find, names = RELIED_ON[place]
    try:
        found = find()
        missing = [name for name in names.split() if not hasattr(found, name)]
    except (ImportError, AttributeError) as error:
        missing = [str(error)]
    assert not missing, f"{library} {version(library)} has no {', '.join(missing)}, which tui_trainer/{place} needs"
