"""`tui-trainer serve`: a model answers over HTTP, as OpenAI's would."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.cli.signals import SignalWatcher
from tui_trainer.cli.writers import TrainingWatch
from tui_trainer.errors import UserError
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.runs.catalogue import find_base, is_run, model_name, name_of
from tui_trainer.runs.directory import RunDirectory

if TYPE_CHECKING:
    from tui_trainer.deploy.server.access_log import LogLines
    from tui_trainer.deploy.server.engine import Engine, Writer

ENDING_SECONDS = 1
"""How long answers under way may take once the server is to end."""


@dataclass(frozen=True)
class Source:
    """What is served: a run, or the folder of an export."""

    place: RunDirectory | Path

    @property
    def name(self) -> str:
        """What clients call it."""
        return name_of(self.place) if isinstance(self.place, RunDirectory) else model_name(self.place)

    def open(self) -> Writer:
        """Loads what it takes to write."""
        from tui_trainer.inference.generator import TextGenerator

        return TextGenerator(self.place)


def serve(name: str, host: str, port: int, key_file: Path | None, allowed_hosts: list[str]) -> int:
    """Serves until a signal comes, or the engine dies. Returns the exit code.

    Raises:
        UserError: when there is nothing to serve, or nowhere to serve it.
    """
    _require_packages()
    from tui_trainer.deploy.server.access_log import LogLines
    from tui_trainer.deploy.server.address import open_socket, read_key
    from tui_trainer.deploy.server.engine import Engine
    from tui_trainer.deploy.server.limits import Limits

    source = find_source(name)
    key = read_key(key_file, os.environ)
    log, limits = LogLines(), Limits()
    with open_socket(host, port, has_key=key is not None) as listener:
        engine = Engine(source.open, TrainingWatch(source.place).is_training, limits, log.say)
        return _serve(source, engine, listener, key, [host, *allowed_hosts], log)


def find_source(name: str) -> Source:
    """The run, or the exported model, that a person means.

    Raises:
        UserError: when there is neither.
    """
    path = find_base(name)
    return Source(RunDirectory(path) if is_run(path) else path)


def _require_packages() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"serving needs the package {error.name}\npip install 'tui-trainer[serve]'") from error


def _serve(
    source: Source, engine: Engine, listener: socket.socket, key: str | None, hosts: list[str], log: LogLines
) -> int:
    from tui_trainer.deploy.server.address import url_of
    from tui_trainer.deploy.server.app import ServedModel, make_app
    from tui_trainer.deploy.server.connection import make_server
    from tui_trainer.deploy.server.limits import Limits

    limits = Limits()
    app = make_app(ServedModel(source.name, int(time.time()), engine), limits, hosts, key, log)
    server = make_server(app, limits, log, ENDING_SECONDS + 1)

    def stop() -> None:
        server.should_exit = True
        if engine.speaker is None:
            engine.close()

    with SignalWatcher(stop, lambda: engine.finish(ENDING_SECONDS), lambda: None, lambda: False) as signals:
        try:
            engine.start(on_death=stop)
        except UserError:
            if signals.received is None:
                raise
        else:
            _greet(source, engine, url_of(listener), has_key=key is not None)
            server.run(sockets=[listener])
        if engine.has_died:
            log.say("the engine has ended, and the server with it")
        engine.close()
        engine.join(ENDING_SECONDS)
        log.drain(1.0)
    if engine.has_died:
        return 1
    return 128 + signals.received if signals.received else 0


def _greet(source: Source, engine: Engine, url: str, *, has_key: bool) -> None:
    from tui_trainer.deploy.server.address import KEY_VARIABLE

    speaker = engine.speaker
    assert speaker is not None
    if speaker.warning:
        sys.stderr.write(safe_line(speaker.warning) + "\n")
    step = "" if isinstance(source.place, Path) else f", step {speaker.step:,}"
    authorization = f' -H "Authorization: Bearer ${KEY_VARIABLE}"' if has_key else ""
    body = shlex.quote(json.dumps({"model": source.name, "prompt": "The "}))
    sys.stdout.write(
        f"{safe_line(source.name)}{step} answers at {url}/v1; Ctrl-C ends it. Try:\n"
        f"curl {url}/v1/completions{authorization} -H 'Content-Type: application/json' -d {body}\n"
    )
    sys.stdout.flush()
