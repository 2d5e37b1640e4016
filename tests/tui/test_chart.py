"""The chart on the screen: what its keys will do, and how it looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from recorded import RECORDINGS, RecordedTraining, app_on, catch_up
from textual.app import App, ComposeResult

import tui_trainer.tui
from tui_trainer.event_codec import decode
from tui_trainer.events import (
    CheckpointSaved,
    EvaluationCompleted,
    HardwareSampled,
    RolledBack,
    RunStarted,
    StepCompleted,
    StepSkipped,
)
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui import theme
from tui_trainer.tui.chart.views import VIEWS
from tui_trainer.tui.dots import STYLES, DotStyle
from tui_trainer.tui.widgets.chart import Chart

BEST_SIGN, GUTTER = "◆", len("  7.0 ┤")
SIZES = {"80x24": (80, 11), "120x40": (64, 17), "200x50": (144, 19)}
"""What the monitor gives the chart on a screen of such a size."""
MACHINE = [
    HardwareSampled(
        step, 55 + step % 170 / 8, 400_000_000 + 30_000 * step, 16 * 10**9, 70 + step % 90 / 4, 2 * 10**9, 24 * 10**9
    )
    for step in range(10, 1220, 30)
]
RECOVERED = [
    StepSkipped(1221, "non_finite", None, None),
    CheckpointSaved(1225, "x", is_best=False, seconds=0.1),
    RolledBack(1200, 1240, "loss 9.112 after 3.715", 0.5),
]


class ChartApp(App[None]):
    """A screen with nothing but a chart."""

    CSS_PATH = Path(tui_trainer.tui.__file__).parent / "trainer.tcss"

    def __init__(self, run: RunDirectory, dots: DotStyle) -> None:
        super().__init__()
        self.follower, self.dots = RunFollower(run), dots
        self.follower.drain()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.defaults_for(theme.DARK)

    def compose(self) -> ComposeResult:
        yield Chart(id="chart")

    def on_mount(self) -> None:
        self.register_theme(theme.DARK)
        self.theme = theme.DARK.name
        self.chart.show_run(self.follower)

    @property
    def chart(self) -> Chart:
        return self.query_one(Chart)

    @property
    def text(self) -> str:
        return "\n".join("".join(text for text, _ in line) for line in self.chart._lines)


@pytest.fixture
def charted(record_of) -> Callable[..., ChartApp]:
    def make(name: str = "quick-test", share: float = 0.55, style: str = "braille", also=()) -> ChartApp:
        return ChartApp(record_of(name, share, also=also), STYLES[style])

    return make


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name.replace(" ", "-"))
async def test_picture_of_each_view(charted, picture, view):
    app = charted(also=MACHINE)
    async with app.run_test(size=SIZES["120x40"]) as pilot:
        while app.chart.view is not view:
            app.chart.next_view()
        await pilot.pause()
        assert app.export_screenshot(title="") == picture


LOOKS: dict[str, Callable[[Chart], object]] = {
    "cursor": lambda chart: (chart.move_cursor(0), chart.move_cursor(-9)),
    "log": lambda chart: chart.toggle_log(),
    "raw": lambda chart: chart.toggle_smoothing(),
    "live": lambda chart: chart.zoom(0.25),
    "frozen": lambda chart: (chart.zoom(0.25), chart.pan(-1)),
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("look", LOOKS)
async def test_picture_of_each_look(charted, picture, look, size):
    app = charted("overfitting", 0.6)
    async with app.run_test(size=size) as pilot:
        LOOKS[look](app.chart)
        await pilot.pause()
        assert app.export_screenshot(title="") == picture


@pytest.mark.parametrize("style", STYLES)
async def test_picture_in_each_style_of_dots(charted, picture, style):
    app = charted(also=RECOVERED, style=style)
    async with app.run_test(size=SIZES["120x40"]) as pilot:
        app.chart.zoom(1 / 3)
        app.chart.move_cursor(0)
        await pilot.pause()
        assert app.export_screenshot(title="") == picture


async def test_keys_go_from_all_to_live_to_frozen_and_back(charted):
    app = charted()
    async with app.run_test(size=(120, 20)):
        chart, modes = app.chart, []
        for move in (
            lambda: chart.zoom(0.5),
            lambda: chart.pan(-0.5),
            lambda: chart.pan(9),
            chart.show_all,
            chart.follow,
        ):
            move()
            modes.append(chart.border_subtitle.removesuffix(" · smoothed").split()[-1])
        assert modes == ["live", "frozen", "live", "all", "live"]


async def test_the_cursor_begins_at_the_newest_point_and_stays_in_sight(charted):
    app = charted()
    async with app.run_test(size=(120, 20)):
        app.chart.move_cursor(-5)
        assert app.chart.cursor == 1220, "the first move only shows it"
        app.chart.move_cursor(-1)
        assert 1190 < app.chart.cursor < 1220
        assert "train 3.820   val 4.255" in app.text
        app.chart.move_cursor(-999)
        assert app.chart.cursor < 20
        app.chart.move_cursor(999)
        assert 1490 < app.chart.cursor <= 1500
        app.chart.hide_cursor()
        assert app.chart.cursor is None and "train 3" not in app.text


async def test_zoomed_in_the_cursor_moves_by_steps(charted):
    app = charted()
    async with app.run_test(size=(120, 20)):
        app.chart.zoom(0.005)
        app.chart.move_cursor(0)
        app.chart.move_cursor(-3)
        assert app.chart.cursor == 1217
        assert "step 1,217" in app.text and "train 3.715 at 1,220" in app.text


async def test_log_is_remembered_for_each_view_and_refused_where_it_has_no_meaning(charted):
    app = charted()
    async with app.run_test(size=(120, 20)):
        app.chart.toggle_log()
        assert app.chart.border_subtitle.endswith("all · log · smoothed")
        app.chart.next_view()
        app.chart.toggle_log()
        assert app.chart.view.name == "gap" and app.chart.border_subtitle.endswith("all")
        app.chart.next_view()
        assert app.chart.border_subtitle.endswith("all · log · smoothed"), "perplexity begins with it"
        app.chart.next_view(-1)
        app.chart.next_view(-1)
        assert app.chart.view.name == "loss" and app.chart.is_log


async def test_all_of_the_chart_is_painted_only_when_its_titles_change(charted, monkeypatch):
    app, paints = charted(), []
    async with app.run_test(size=(120, 20)):
        monkeypatch.setattr(app.chart, "refresh", lambda *regions, **options: paints.append(regions))
        for _ in range(3):
            app.chart.show_run(app.follower)
        assert paints == []
        app.chart.next_view()
        assert () in paints


async def test_before_there_is_a_run_no_key_does_harm():
    chart = Chart(id="chart")
    app: App[None] = App()
    async with app.run_test(size=(80, 11)):
        await app.mount(chart)
        for act in (chart.next_view, chart.hide_cursor, chart.toggle_log, chart.toggle_smoothing, chart.show_all):
            act()
        chart.zoom(0.5)
        chart.pan(-1)
        chart.follow()
        chart.move_cursor(1)
        assert chart._lines == []


async def test_keys_do_no_harm_where_there_is_no_room_for_a_chart(charted):
    app = charted()
    async with app.run_test(size=(120, 20)) as pilot:
        await pilot.resize_terminal(10, 3)
        app.chart.move_cursor(0)
        app.chart.move_cursor(-1)
        app.chart.zoom(0.5)
        assert "".join(app.text.split()) == ""
        await pilot.resize_terminal(120, 20)
        await pilot.pause()
        assert "train" in app.text and app.chart.viewport.mode != "all"


async def test_a_best_from_before_the_run_went_back_keeps_its_place(services, record_of):
    events = [decode(line).event for line in (RECORDINGS / "quick-test.jsonl").read_bytes().splitlines()]
    start = next(event for event in events if isinstance(event, RunStarted))
    best = [replace(event, val_loss=1.0) for event in events if isinstance(event, EvaluationCompleted)][-1]
    step = next(event for event in events if isinstance(event, StepCompleted) and event.step == 1510)
    also = [best, CheckpointSaved(2244, "x", is_best=True, seconds=0.1)]
    also += [replace(start, max_steps=4400, resumed_from_step=1500), step]
    app = app_on(services, RecordedTraining(record_of("quick-test", also=also)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        state, chart = app.screen.follower.state, app.screen.query_one(Chart)
        lines, cells = ["".join(part for part, _ in line) for line in chart._lines], chart._grid.cells
    assert (state.current_step, state.best.step, state.best_checkpoint_step) == (1510, 2244, 2244)
    (row,) = [line for line in lines if BEST_SIGN in line]
    assert abs((row.index(BEST_SIGN) - GUTTER) / cells - 2244 / 3000) < 1 / cells, "at its step"
    assert "3,000" in lines[-1]
    assert any(line.strip().startswith("2.0") for line in lines), "the axis of values reaches it"


async def test_the_axis_of_steps_reaches_a_best_that_lies_ahead(services, record_of):
    events = [decode(line).event for line in (RECORDINGS / "quick-test.jsonl").read_bytes().splitlines()]
    start = next(event for event in events if isinstance(event, RunStarted))
    app = app_on(services, RecordedTraining(record_of("quick-test", also=[replace(start, resumed_from_step=200)])))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        chart = app.screen.query_one(Chart)
        lines, cells = ["".join(part for part, _ in line) for line in chart._lines], chart._grid.cells
    (row,) = [line for line in lines if BEST_SIGN in line]
    assert row.index(BEST_SIGN) == GUTTER + cells - 1 and lines[-1].rstrip().endswith("2,244")
