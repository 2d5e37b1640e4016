from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from recorded import RECORDINGS, RecordedTraining, RecordedWriter
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tui_trainer.config import to_toml
from tui_trainer.event_codec import encode
from tui_trainer.events import Event, Record
from tui_trainer.presets import load_preset
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import Status, boot_id
from tui_trainer.tui.services import Services


class SvgExtension(SingleFileSnapshotExtension):
    """One SVG picture a snapshot."""

    file_extension = "svg"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def picture(snapshot):
    return snapshot.use_extension(SvgExtension)


@pytest.fixture
def record_of(tmp_path: Path) -> Callable[..., RunDirectory]:
    """A run directory made from a recording: the first `share` of its events, in a running or an ended state.

    `start` changes its RunStarted, `also` are events that came after.
    """

    def make(
        name: str,
        share: float = 1.0,
        preset: str = "quick-test",
        start: dict[str, object] | None = None,
        also: Sequence[Event] = (),
        **status: object,
    ) -> RunDirectory:
        run = RunDirectory(tmp_path / "20261123-170806-quick-test")
        run.path.mkdir()
        run.checkpoints.mkdir()
        lines = (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        lines = [changed(line, start or {}) for line in lines[: round(len(lines) * share)]]
        run.event_log.write_bytes(b"".join([*lines, *(encode(Record(1795453999.0, 0, event)) for event in also)]))
        run.config_file.write_text(to_toml(load_preset(preset).config))
        run.manifest.write_text(json.dumps({"id": run.path.name, "preset": preset, "created": "2026-11-23T17:08:06"}))
        values = {
            "state": "running",
            "phase": "training",
            "heartbeat": time.time() + 3600,
            "host": socket.gethostname(),
            "boot_id": boot_id(),
        } | status
        run.status_file.write_text(json.dumps(Status(**values).__dict__))
        return run

    make.root = tmp_path
    return make


def changed(line: bytes, start: dict[str, object]) -> bytes:
    payload = json.loads(line)
    return line if payload["event"] != "RunStarted" else json.dumps(payload | start).encode() + b"\n"


@pytest.fixture
def services() -> Services:
    return Services(launch=refuse, open_writer=lambda run: RecordedWriter(["an object ", "is a value."]))


class Steered:
    """Services that remember what was asked of the trainer."""

    def __init__(self, services: Services) -> None:
        self.asked: list[tuple[str, object]] = []
        self.error: OSError | None = None
        self.services = replace(services, steer=self.steer)

    def steer(self, run: RunDirectory, action: str, value: object) -> str:
        if self.error:
            raise self.error
        self.asked.append((action, value))
        return f"{len(self.asked)}"


@pytest.fixture
def steered(services: Services) -> Steered:
    return Steered(services)


def refuse(config: object, preset: str) -> RecordedTraining:
    raise AssertionError("nothing should be launched here")
