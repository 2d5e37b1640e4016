"""What the terminal holds after many partial updates is what a full drawing would show."""

from __future__ import annotations

import json

import pyte
import pytest
from recorded import RECORDINGS, RecordedTraining, catch_up
from textual.drivers.headless_driver import HeadlessDriver
from textual.strip import Strip

from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.screens.monitor import FIGURES_SECONDS
from tui_trainer.tui.widgets.chart import Chart


class TerminalDriver(HeadlessDriver):
    """Writes to a terminal in memory."""

    stream: pyte.Stream
    written: list[int]
    is_headless = False

    def write(self, data: str) -> None:
        self.stream.feed(data)
        self.written.append(len(data.encode()))


def text_of(app: TrainerApp) -> list[str]:
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def drawn_at_once(app: TrainerApp, size: tuple[int, int]) -> pyte.Screen:
    """The same screen, every strip as Textual writes it."""
    terminal = pyte.Screen(*size)
    stream = pyte.Stream(terminal)
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        stream.feed(f"\x1b[{y + 1};1H" + "".join(Strip([segment]).render(app.console) for segment in strip))
    return terminal


def cells_of(terminal: pyte.Screen) -> list[list[tuple[object, ...]]]:
    """What is seen of each cell: a blank has no colour of its own."""
    return [
        [(cell.data, cell.bg, cell.data != " " and (cell.fg, cell.bold, cell.italics)) for cell in line.values()]
        for line in ({x: terminal.buffer[y][x] for x in range(terminal.columns)} for y in range(terminal.lines))
    ]


@pytest.mark.parametrize("keys", [(), ("plus",) * 3], ids=["whole", "zoomed"])
@pytest.mark.parametrize(("size", "most"), [((120, 40), 3000), ((200, 50), 8000)])
async def test_bytes_a_second_are_bounded_at_any_size_and_zoom(services, record_of, size, most, keys):
    """A look is half a second of a run with 50 steps a second."""
    run = record_of("quick-test", 0.3)
    recorded = (RECORDINGS / "quick-test.jsonl").read_bytes().splitlines(keepends=True)
    lines = [moved for line in recorded[round(0.3 * len(recorded)) :] for moved in spread_over_steps(line)]
    TerminalDriver.stream, TerminalDriver.written = pyte.Stream(pyte.Screen(*size)), []
    app = TrainerApp(services, training=(RecordedTraining(run), "quick-test"), driver_class=TerminalDriver)
    async with app.run_test(headless=False, size=size) as pilot:
        await catch_up(pilot)
        await pilot.press(*keys)
        for _ in range(20):
            app.screen.look()
            await pilot.pause()
        TerminalDriver.written.clear()
        first, drawn = app.screen._ticks, set()
        for number in range(40):
            with run.event_log.open("ab") as log:
                log.write(b"".join(lines[25 * number : 25 * (number + 1)]))
            app.screen.look()
            await pilot.pause()
            drawn.add(str(app.screen.query_one(Chart)._lines))
        seconds = (app.screen._ticks - first) * FIGURES_SECONDS
    assert len(lines) >= 1000 and len(drawn) > 4, "curves were drawn"
    assert sum(TerminalDriver.written) / seconds <= most


def spread_over_steps(line: bytes) -> list[bytes]:
    """One step in ten was recorded: this is each of them, with noise."""
    event = json.loads(line)
    if event["event"] != "StepCompleted":
        return [line]
    loss, step = event["train_loss"], event["step"]
    noisy = [event | {"step": step - 9 + index, "train_loss": loss + index * 7 % 10 / 20} for index in range(10)]
    return [json.dumps(each).encode() + b"\n" for each in noisy]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_partial_updates_add_up(services, record_of, size):
    terminal = pyte.Screen(*size)
    TerminalDriver.stream, TerminalDriver.written = pyte.Stream(terminal), []
    run = record_of("quick-test", 0.3)
    start = len(run.event_log.read_bytes())
    whole = (RECORDINGS / "quick-test.jsonl").read_bytes()
    app = TrainerApp(services, training=(RecordedTraining(run), "quick-test"), driver_class=TerminalDriver)
    async with app.run_test(headless=False, size=size) as pilot:
        for _ in range(3):
            app.screen.look()
            await pilot.pause()
        TerminalDriver.written.clear()
        for length in range(start, len(whole), 4_000):
            run.event_log.write_bytes(whole[:length])
            app.screen.look()
            await pilot.pause()
        assert [line.rstrip() for line in terminal.display] == text_of(app)
        assert cells_of(terminal) == cells_of(drawn_at_once(app, size))
    frames = [size for size in TerminalDriver.written if size > 100]
    assert len(frames) > 8, "nothing was updated"
    assert sum(frames) / len(frames) < 5_000, "an update sends what changed; the whole screen is about 15,000 bytes"
