"""`tui-trainer serve`: a model answers over HTTP, as OpenAI's would."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.cli.signals import SignalWatcher
from tui_trainer.cli.writers import TrainingWatch
from tui_trainer.deploy.optional_packages import require
from tui_trainer.errors import UserError
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.runs.catalogue import find_base, is_run, model_name, name_of
from tui_trainer.runs.directory import RunDirectory

if TYPE_CHECKING:
    from tui_trainer.deploy.server.access_log import LogLines
    from tui_trainer.deploy.server.engine import Engine, Writer

LONGEST_NAME = 256
ENDING_SECONDS = 1
"""How long answers under way may take once the server is to end."""


@dataclass(frozen=True)
class Source:
    """What is served: a run, or the folder of an export."""

    place: RunDirectory | Path
    served_as: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called here."""
        return name_of(self.place) if isinstance(self.place, RunDirectory) else model_name(self.place)

    @property
    def names(self) -> tuple[str, ...]:
        """What clients call it: the names that were given, and then no other."""
        return self.served_as or (self.name,)

    def open(self) -> Writer:
        """Loads what it takes to write."""
        from tui_trainer.inference.generator import TextGenerator

        return TextGenerator(self.place)


def serve(
    name: str, host: str, port: int, key_file: Path | None, allowed_hosts: list[str], names: Sequence[str] = ()
) -> int:
    """Serves until a signal comes, or the engine dies. Returns the exit code.

    Args:
        name: a run, or the folder of an export.
        host: where to listen.
        port: 0 for any that is free.
        key_file: holds the key that clients must show.
        allowed_hosts: names that clients may call the server by.
        names: what clients may call the model, and nothing else; left out: the name of the run or the folder.

    Raises:
        UserError: when there is nothing to serve, or nowhere to serve it.
    """
    require("starlette", "uvicorn", by="serving")
    from tui_trainer.deploy.server.access_log import LogLines
    from tui_trainer.deploy.server.address import open_socket, read_key
    from tui_trainer.deploy.server.engine import Engine
    from tui_trainer.deploy.server.limits import Limits

    source = find_source(name, names)
    key = read_key(key_file, os.environ)
    log, limits = LogLines(), Limits()
    with open_socket(host, port, has_key=key is not None) as listener:
        engine = Engine(source.open, TrainingWatch(source.place).is_training, limits, log.say)
        return _serve(source, engine, listener, key, [host, *allowed_hosts], log)


def find_source(name: str, served_as: Sequence[str] = ()) -> Source:
    """The run, or the exported model, that a person means.

    Raises:
        UserError: when there is neither, or clients could not call it by a name.
    """
    for wanted in served_as:
        if not (wanted.strip() and wanted.isprintable() and len(wanted) <= LONGEST_NAME):
            raise UserError(f"--name {wanted[:LONGEST_NAME]}: must be 1 to {LONGEST_NAME} characters that can be seen")
    path = find_base(name)
    return Source(RunDirectory(path) if is_run(path) else path, tuple(dict.fromkeys(served_as)))


def _serve(
    source: Source, engine: Engine, listener: socket.socket, key: str | None, hosts: list[str], log: LogLines
) -> int:
    from tui_trainer.deploy.server.address import url_of
    from tui_trainer.deploy.server.app import ServedModel, make_app
    from tui_trainer.deploy.server.connection import make_server
    from tui_trainer.deploy.server.limits import Limits

    limits = Limits()
    models = [ServedModel(name, int(time.time()), engine) for name in source.names]
    app = make_app(models, limits, hosts, key, log)
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
    called = " as " + ", ".join(source.names) if source.served_as else ""
    body = shlex.quote(json.dumps({"model": source.names[0], "prompt": "The "}))
    sys.stdout.write(
        f"{safe_line(source.name)}{step} answers{safe_line(called)} at {url}/v1; Ctrl-C ends it. Try:\n"
        f"curl {url}/v1/completions{authorization} -H 'Content-Type: application/json' -d {body}\n"
    )
    sys.stdout.flush()
