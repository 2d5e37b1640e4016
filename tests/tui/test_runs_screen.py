"""The list of runs, and opening one."""

from __future__ import annotations

import json
import shutil

import pytest
from recorded import RecordedTraining, text_of, wait_until

from tui_trainer.monitor.run_list import describe_run
from tui_trainer.presets import list_presets
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import Status
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.screens import runs
from tui_trainer.tui.screens.monitor import MonitorScreen
from tui_trainer.tui.screens.picker import PickerScreen
from tui_trainer.tui.screens.runs import RunList, RunsScreen
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


async def test_a_state_that_no_width_holds_is_cut_and_keeps_its_line(opening, record_of):
    run = record_of("quick-test", 0.5, state="finished", reason="somebody likes long reasons " * 4)
    app = TrainerApp(opening, runs=[run, run])
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        lines = [line.rstrip() for line in text_of(app).splitlines() if "likes" in line]
        assert len(lines) == 2 and all(line.endswith("…") and len(line) <= 40 for line in lines)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_of_thousands_of_runs_only_those_in_sight_are_read_and_all_can_be_reached(
    opening, record_of, monkeypatch, size
):
    first = record_of("quick-test", 0.5, state="finished", heartbeat=0.0)
    read = []
    monkeypatch.setattr(runs, "describe_run", lambda run, now: read.append(run) or describe_run(run, now))
    many = [RunDirectory(first.path.with_name(f"missing-{number}")) for number in range(3000)]
    app = TrainerApp(opening, runs=[*many, first])
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "when" in text_of(app).splitlines()[1] and "state" in text_of(app).splitlines()[1]
        assert len(read) <= size[1]
        await pilot.press("end")
        await pilot.pause()
        assert "Nov 23 17:08" in text_of(app) and len(read) <= 2 * size[1]
        await pilot.press("pageup", "pageup")
        await pilot.pause()
        assert "Nov 23 17:08" not in text_of(app)


async def test_one_that_trains_stands_on_top_however_old(opening, record_of):
    old = record_of("quick-test", 0.5, step=7, max_steps=9)
    ended = RunDirectory(old.path.with_name("20261124-080000-small"))
    shutil.copytree(old.path, ended.path)
    ended.status_file.write_text(json.dumps(Status(state="finished", heartbeat=0.0).__dict__))
    app = TrainerApp(opening, runs=[ended, old])
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "training" in text_of(app).splitlines()[3] and "7/9" in text_of(app).splitlines()[3]


async def test_a_click_opens_the_run_below_it(opening, record_of):
    first = record_of("quick-test", 0.5)
    second = RunDirectory(first.path.with_name("20261124-080000-small"))
    shutil.copytree(first.path, second.path)
    app = TrainerApp(opening, runs=[first, second])
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        below = app.screen.query_one(RunList).runs[1]
        await pilot.click(RunList, offset=(5, 2))
        await wait_until(pilot, lambda: isinstance(app.screen, MonitorScreen))
        assert app.monitor.training.run_dir == below


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
