from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from recorded import RecordedTraining, look_around, text_of, wait_until

from tui_trainer.diagnosis import Advice
from tui_trainer.presets import ORDER, change_presets, list_presets
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.screens.monitor import MonitorScreen
from tui_trainer.tui.screens.picker import PresetList
from tui_trainer.tui.services import Services
from tui_trainer.tui.widgets.preset_details import PresetDetails


def picker(launch=None) -> TrainerApp:
    return TrainerApp(Services(launch, None), presets=list_presets())


async def test_quick_test_is_first_and_highlighted_and_enter_starts_it():
    launched = []

    def launch(config, preset):
        launched.append((config, preset))
        return RecordedTraining(None)

    app = picker(launch)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.screen.query_one(PresetList).highlighted == 0
        await pilot.press("enter")
        await pilot.pause()
        assert [preset for _, preset in launched] == ["quick-test"]
        assert isinstance(app.screen, MonitorScreen)


async def test_each_preset_shows_what_it_is_for_and_what_it_costs():
    app = picker()
    async with app.run_test(size=(120, 40)) as pilot:
        await look_around(pilot)
        for index, name in enumerate(ORDER):
            details = app.screen.query_one(PresetDetails)
            text = "\n".join("".join(part for part, _ in line) for line in details.draw_lines(90, 36))
            assert details.border_title == name
            assert list_presets()[index].purpose[:40] in text
            for label in ("parameters", "data", "tokens", "steps", "context", "memory", "time"):
                assert label in text
            await pilot.press("down")
            await pilot.pause()


async def test_a_preset_whose_text_is_missing_names_it_and_does_not_start(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    app = picker(lambda config, preset: pytest.fail("started without its text"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("down")
        await look_around(pilot)
        details = app.screen.query_one(PresetDetails)
        text = " ".join("".join(part for part, _ in line) for line in details.draw_lines(100, 36))
        assert "the-verdict.txt" in text and "--data" in text
        await pilot.press("enter")
        await pilot.pause()


async def test_after_a_run_from_the_picker_b_goes_back():
    training = RecordedTraining(None)
    app = picker(lambda config, preset: training)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        await pilot.pause()
        training.is_running, training.failure = False, "no luck"
        app.screen.look()
        await pilot.press("b")
        await pilot.pause()
        assert not isinstance(app.screen, MonitorScreen)


async def test_enter_twice_starts_one_training():
    launched = []

    def launch(config, preset):
        launched.append(preset)
        return RecordedTraining(None)

    app = picker(launch)
    async with app.run_test() as pilot:
        await pilot.pause()
        preset = app._presets[0]
        app.start(preset)
        app.start(preset)
        await pilot.pause()
    assert launched == ["quick-test"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_model_too_big_for_its_text_is_said_before_the_start(monkeypatch, size):
    asked = []

    def find(parameters: int, tokens: int, epochs: float) -> Advice | None:
        asked.append((parameters, tokens, epochs))
        return Advice("model_size", "warning", "[b]big[/b]\x1b[2J" if parameters > 1e8 else "small", "More text.", {})

    monkeypatch.setattr("tui_trainer.tui.widgets.preset_details.find_model_size", find)
    app = picker()
    async with app.run_test(size=size) as pilot:
        await pilot.press("end", "up")
        await look_around(pilot)
        shown = text_of(app)
    assert "▲ [b]big[/b]␛[2J" in shown and "More text." in shown
    (parameters, tokens, epochs) = asked[-1]
    assert parameters == 124_439_808
    assert epochs == pytest.approx(600_000 * 480 * 1024 / tokens)


async def test_a_model_that_fits_its_text_is_not_spoken_of(monkeypatch):
    monkeypatch.setattr("tui_trainer.tui.widgets.preset_details.find_model_size", lambda *_: None)
    app = picker()
    async with app.run_test(size=(120, 40)) as pilot:
        await look_around(pilot)
        assert not {"▲", "•"} & set(text_of(app))


async def test_details_that_are_cut_off_say_so(monkeypatch):
    advice = Advice("model_size", "warning", "big", "More text. " * 60, {})
    monkeypatch.setattr("tui_trainer.tui.widgets.preset_details.find_model_size", lambda *_: advice)
    app = picker()
    async with app.run_test(size=(80, 24)) as pilot:
        await look_around(pilot)
        lines = app.screen.query_one(PresetDetails)._lines
        assert lines[-1][-1][0].strip() == "…"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_fine_tuning_says_what_to_type_and_does_not_start_without_a_base(size):
    app = picker(lambda config, preset: pytest.fail("started without a base"))
    async with app.run_test(size=size) as pilot:
        await pilot.press("end", "enter")
        await pilot.pause()
        shown = " ".join(text_of(app).replace("│", " ").split())
    assert "tui-trainer train finetune --from" in shown
    assert "shape the base's" in shown and "parameters –" in shown


@pytest.fixture
def slow_folder(monkeypatch, tmp_path):
    """A folder whose walk waits until it may go on, and counts."""
    (tmp_path / "notes").mkdir()
    for number in range(3):
        (tmp_path / "notes" / f"{number}.txt").write_text("text " * 1000)
    folder = SlowFolder(str(tmp_path / "notes"))
    monkeypatch.setattr(os, "walk", folder.walk)
    yield folder
    folder.may_go_on.set()


class SlowFolder:
    def __init__(self, path):
        self.path, self.walks, self.may_go_on, self._walk = path, 0, threading.Event(), os.walk

    def walk(self, *given, **more):
        self.walks += 1
        assert threading.current_thread() is not threading.main_thread(), "on the screen's thread"
        self.may_go_on.wait(30)
        return self._walk(*given, **more)

    def picker(self, launch=None):
        return TrainerApp(Services(launch, None), presets=change_presets(list_presets(), [], [self.path]))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_folder_is_walked_once_for_all_presets_while_the_screen_answers(slow_folder, size):
    app = slow_folder.picker()
    async with app.run_test(size=size) as pilot:
        await wait_until(pilot, lambda: slow_folder.walks > 0)
        assert "looking through" in text_of(app)
        await pilot.press("down", "down")
        await wait_until(pilot, lambda: "shakespeare-char" in app.screen.query_one(PresetDetails).border_title)
        assert " –" in text_of(app) and "looking through" in text_of(app)
        slow_folder.may_go_on.set()
        await look_around(pilot)
        assert "notes (3 files)" in text_of(app)
        await pilot.press("up")
        await pilot.pause()
        assert "notes (3 files)" in text_of(app)
    assert slow_folder.walks == 1


async def test_coming_back_to_the_picker_walks_no_folder_again_but_looks_for_a_missing_text(slow_folder, monkeypatch):
    slow_folder.may_go_on.set()
    monkeypatch.chdir(Path(slow_folder.path).parent)
    presets = [list_presets()[0].changed([], [slow_folder.path]), list_presets()[1]]
    app = TrainerApp(Services(None, None), presets=presets)
    async with app.run_test() as pilot:
        await look_around(pilot)
        Path("the-verdict.txt").write_text("I had always thought. " * 100)
        await pilot.press("o")
        await pilot.pause()
        await pilot.press("escape", "down")
        await wait_until(pilot, lambda: "the-verdict.txt:" not in text_of(app) and "~" in text_of(app))
    assert slow_folder.walks == 1


async def test_enter_starts_before_the_folder_was_walked(slow_folder):
    launched = []
    app = slow_folder.picker(lambda config, preset: launched.append(preset) or RecordedTraining(None))
    async with app.run_test() as pilot:
        await wait_until(pilot, lambda: slow_folder.walks > 0)
        await pilot.press("enter")
        await pilot.pause()
        assert launched == ["quick-test"] and isinstance(app.screen, MonitorScreen)


def test_leaving_does_not_wait_for_a_walk(tmp_path):
    """The walk never ends; the process does."""
    program = """
import asyncio, os, sys, threading
from tui_trainer.presets import change_presets, list_presets
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.services import Services

is_walking = threading.Event()
def walk(*given, **more):
    is_walking.set()
    threading.Event().wait()

async def main():
    app = TrainerApp(Services(None, None), presets=change_presets(list_presets(), [], ["."]))
    async with app.run_test() as pilot:
        while not is_walking.is_set():
            await pilot.pause(0.01)
        await pilot.press("q")

os.walk = walk
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
