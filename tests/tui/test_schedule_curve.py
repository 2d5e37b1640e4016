"""The learning rate: what was recorded, then what is planned."""

from __future__ import annotations

from recorded import RecordedTraining, app_on, catch_up, text_of
from test_dots import dots

from tui_trainer.config import TrainingConfig
from tui_trainer.events import RolledBack
from tui_trainer.lr_schedule import make_schedule
from tui_trainer.monitor.history import Series
from tui_trainer.tui.lines import width_of
from tui_trainer.tui.widgets.schedule_curve import draw_progress

CONSTANT = make_schedule(TrainingConfig(schedule="constant", learning_rate=1e-3, warmup_steps=0), 100)


def recorded(*rates: float) -> Series:
    series = Series()
    for step, rate in enumerate(rates, start=1):
        series.append(step, rate)
    return series


def heights(lines) -> dict[int, int]:
    """The highest dot of each column, counted from below."""
    highest: dict[int, int] = {}
    for x, y in dots(lines):
        highest[x] = max(highest.get(x, 0), 4 * len(lines) - y)
    return highest


def test_the_past_is_what_was_recorded_and_the_future_is_the_plan_times_the_factor():
    lines = draw_progress(CONSTANT, 0.5, recorded(*[1e-3] * 50), 50, 20, 4)
    assert [width_of(line) for line in lines] == [20] * 4
    drawn = heights(lines)
    assert drawn[2] == 16, "the highest of all is at the top"
    assert 7 <= drawn[36] <= 9, "half as high"
    assert all(("│", "accent") in line for line in lines)


def test_a_rate_that_was_changed_on_the_way_is_seen_as_it_was():
    lines = draw_progress(CONSTANT, 1.0, recorded(*[2e-3] * 30, *[1e-3] * 30), 60, 20, 4)
    drawn = heights(lines)
    assert drawn[4] == 16 and 7 <= drawn[20] <= 9 and 7 <= drawn[38] <= 9


def test_a_run_that_goes_on_beyond_its_plan_or_has_recorded_nothing_is_drawn():
    for step in (0, 1, 100, 10_000):
        assert [width_of(line) for line in draw_progress(CONSTANT, 1.0, Series(), step, 20, 4)] == [20] * 4
    assert [width_of(line) for line in draw_progress(CONSTANT, 0.0, recorded(0.0), 1, 20, 4)] == [20] * 4


async def test_the_factor_of_a_roll_back_is_named(services, record_of):
    run = record_of("quick-test", 0.55, also=[RolledBack(1200, 1220, "diverged", 0.25)])
    app = app_on(services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        assert " here peak 1.0e-3 ×0.25" in text_of(app)
