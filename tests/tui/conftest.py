from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from recorded import RecordedTraining, RecordedWriter, write_run
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui.services import Services


class SvgExtension(SingleFileSnapshotExtension):
    """One SVG picture a snapshot."""

    file_extension = "svg"
    _write_mode = WriteMode.TEXT


class TextExtension(SingleFileSnapshotExtension):
    """Rows of characters."""

    file_extension = "txt"
    _write_mode = WriteMode.TEXT


@pytest.fixture(autouse=True)
def enough_memory(monkeypatch):
    """What the picker says of a model does not depend on the machine of the tests."""
    monkeypatch.setattr("tui_trainer.tui.screens.picker.free_memory_bytes", lambda: 64_000_000_000)


@pytest.fixture
def page(snapshot):
    return snapshot.use_extension(TextExtension)


@pytest.fixture
def picture(snapshot):
    return snapshot.use_extension(SvgExtension)


@pytest.fixture
def record_of(tmp_path: Path) -> Callable[..., RunDirectory]:
    """A run directory made from a recording: the first `share` of its events, in a running or an ended state.

    `start` changes its RunStarted, `also` are events that came after.
    """

    make = partial(write_run, tmp_path)
    make.root = tmp_path
    return make


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
