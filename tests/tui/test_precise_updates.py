"""What the terminal holds after many partial updates is what a full drawing would show."""

from __future__ import annotations

import pyte
import pytest
from recorded import RECORDINGS, RecordedTraining
from textual.drivers.headless_driver import HeadlessDriver

from tui_trainer.tui.app import TrainerApp


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
    frames = [size for size in TerminalDriver.written if size > 100]
    assert len(frames) > 8, "nothing was updated"
    assert sum(frames) / len(frames) < 5_000, "an update sends what changed; the whole screen is about 15,000 bytes"
