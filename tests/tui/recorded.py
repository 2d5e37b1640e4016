"""Trainings and writers that play what was recorded: the screen is given them instead of the real ones."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from tui_trainer.config import to_toml
from tui_trainer.event_codec import encode
from tui_trainer.events import Event, Record
from tui_trainer.inference.writer import prompt_remarks
from tui_trainer.presets import load_preset
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import Status, boot_id
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.services import Services

RECORDINGS = Path(__file__).parent.parent / "recordings"


@dataclass
class RecordedTraining:
    """A training whose events were recorded."""

    run_dir: RunDirectory | None
    is_running: bool = True
    failure: str | None = None
    stops: int = 0
    ends_with_screen: bool = True
    is_moving: bool = False
    has_moved: bool = False
    detached_by: str | None = None

    def is_alive(self) -> bool:
        return self.is_running

    def stop(self) -> None:
        self.stops += 1

    def detach(self, requested_by: str) -> None:
        self.detached_by = requested_by


@dataclass(frozen=True)
class RecordedSpeaker:
    step: int
    val_loss: float | None
    warning: str | None = None


class RecordedWriter:
    """Writes what it was given; pieces as a tokenizer would cut them."""

    def __init__(self, pieces: list[str], is_slow: bool = False) -> None:
        self.pieces, self.is_slow = pieces, is_slow
        self.asked: list[tuple[str, object]] = []
        self.was_cancelled = False

    def refresh(self, *, is_alone: bool) -> RecordedSpeaker:
        self.is_alone = is_alone
        return RecordedSpeaker(1200, 4.255)

    def remarks(self, prompt: str) -> list[str]:
        return prompt_remarks(0, len(prompt), 1000)

    def stream(self, prompt, settings, is_cancelled: Callable[[], bool], tokens_per_second) -> Iterator[str]:
        assert self.is_alone == (tokens_per_second is None)
        self.asked.append((prompt, settings))
        for piece in self.pieces:
            if is_cancelled():
                self.was_cancelled = True
                return
            yield piece
            while self.is_slow and not is_cancelled():
                time.sleep(0.005)


def write_run(
    folder: Path,
    name: str,
    share: float = 1.0,
    preset: str = "quick-test",
    start: dict[str, object] | None = None,
    also: Sequence[Event] = (),
    **status: object,
) -> RunDirectory:
    """A run directory made from a recording: the first `share` of its events, in a running or an ended state.

    `start` changes its RunStarted, `also` are events that came after.
    """
    run = RunDirectory(folder / "20261123-170806-quick-test")
    run.path.mkdir()
    run.checkpoints.mkdir()
    lines = (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
    lines = [_changed(line, start or {}) for line in lines[: round(len(lines) * share)]]
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


def _changed(line: bytes, start: dict[str, object]) -> bytes:
    payload = json.loads(line)
    return line if payload["event"] != "RunStarted" else json.dumps(payload | start).encode() + b"\n"


async def wait_until(pilot: Pilot[None], is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    """Lets the app work until something is so: how long that takes is the machine's affair."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        await pilot.pause(0.02)


async def catch_up(pilot: Pilot[None]) -> None:
    """Has the monitor read everything and draw it, curves included."""
    screen = pilot.app.screen
    for _ in range(4):
        screen.look()
    while screen._curves_are_stale:  # a slow machine takes in less at a look
        screen.look()
    await pilot.pause()


async def look_around(pilot: Pilot[None]) -> None:
    """Has the picker find the texts and the earlier runs, and show them."""
    screen = pilot.app.screen
    await wait_until(pilot, lambda: screen._reader is not None and not screen._reader.is_alive())
    screen._look()
    await pilot.pause()


def app_on(services: Services, training: RecordedTraining, preset: str = "quick-test", **options: object) -> TrainerApp:
    """The app as it starts when a training was launched."""
    return TrainerApp(services, training=(training, preset), **options)


def text_of(app: TrainerApp) -> str:
    """What stands on the screen."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())
