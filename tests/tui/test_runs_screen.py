"""The list of runs, and opening one."""

from __future__ import annotations

import json

import pytest
from recorded import RecordedTraining, text_of, wait_until

from tui_trainer.presets import list_presets
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.screens.monitor import MonitorScreen
from tui_trainer.tui.screens.picker import PickerScreen
from tui_trainer.tui.screens.runs import RunsScreen
from tui_trainer.tui.services import Services


@pytest.fixture
def opening(services: Services) -> Services:
    def open_run(run):
        return RecordedTraining(run, is_running=False, ends_with_screen=False)

    return Services(services.launch, services.open_writer, None, open_run)


async def test_enter_opens_a_run_and_b_comes_back(opening, record_of):
    app = TrainerApp(opening, runs=[record_of("quick-test", 0.5)])
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(app.screen, MonitorScreen))
        await pilot.press("b")
        await wait_until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("b")
        assert isinstance(app.screen, RunsScreen), "there is nothing behind it"


async def test_no_runs_is_said(opening):
    app = TrainerApp(opening, runs=[])
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert "no runs yet" in text_of(app)


async def test_o_in_the_picker_lists_the_runs_and_escape_comes_back(opening):
    app = TrainerApp(opening, presets=list_presets()[:2])
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("o")
        await wait_until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, PickerScreen))


async def test_a_name_that_no_width_holds_is_cut_and_keeps_its_line(opening, record_of):
    run = record_of("quick-test", 0.5)
    run.manifest.write_text(json.dumps({"id": "somebody-likes-long-names-" * 4, "preset": "x"}))
    app = TrainerApp(opening, runs=[run, run])
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        lines = [line.rstrip() for line in text_of(app).splitlines() if "likes" in line]
        assert len(lines) == 2 and all(line.endswith("…") and len(line) <= 40 for line in lines)


async def test_a_run_that_is_opened_again_and_again_is_remembered_once(opening, record_of):
    app = TrainerApp(opening, runs=[record_of("quick-test", 0.5)])
    async with app.run_test(size=(120, 40)) as pilot:
        for _ in range(3):
            await wait_until(pilot, lambda: isinstance(app.screen, RunsScreen))
            await pilot.press("enter")
            await wait_until(pilot, lambda: isinstance(app.screen, MonitorScreen) and app.screen.follower is not None)
            await pilot.press("b")
        assert [training.run_dir.path.name for training in app.trainings] == ["20261123-170806-quick-test"]
        assert app.trainings == [app.monitor.training]
