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
from tui_trainer.tui.screens.path_question import PathQuestion
from tui_trainer.tui.screens.picker import PickerScreen, PresetList
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


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_enter_asks_for_a_text_that_is_missing_says_at_once_what_is_wrong_and_takes_another(
    monkeypatch, tmp_path, size
):
    monkeypatch.chdir(tmp_path)
    Path("broken.txt").write_bytes(b"\xff\xfe")
    Path("story.txt").write_text("She walked down to the sea. " * 500)
    launched = []
    app = picker(lambda config, preset: launched.append(config) or RecordedTraining(None))
    async with app.run_test(size=size) as pilot:
        await pilot.press("down")
        await look_around(pilot)
        if size[0] > 40:
            assert "the-verdict.txt: no such file" in text_of(app) and "chooses a text" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, PathQuestion) and "story.txt" in text_of(app)
        await pilot.press(*"nope", "enter")
        await pilot.pause()
        assert "nope: no such file or folder" in text_of(app)
        await pilot.press(*["backspace"] * 4, *"br", "tab", "enter")
        await pilot.pause()
        assert "UTF-16" in text_of(app)
        await pilot.press(*["backspace"] * 10, "down", "down", "enter")
        await look_around(pilot)
        await look_around(pilot)
        await pilot.press("down", "up")
        assert app.screen._forecast(app.screen._highlighted).data_name == "story.txt"
        await pilot.press("enter")
        await pilot.pause()
        assert [config.data.paths for config in launched] == [("story.txt",)]
        assert "prompts" not in launched[0].sampling.model_fields_set


async def test_a_chosen_text_holds_for_all_presets_and_an_empty_answer_takes_it_back(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("She walked down to the sea. " * 500)
    app = picker()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("t", *"no", "down", "enter", "down")
        await pilot.pause()
        assert "notes/a.txt" not in text_of(app) and "a.txt" in text_of(app), "a folder is opened"
        await pilot.press("enter")
        await wait_until(pilot, lambda: "a.txt" in text_of(app) and isinstance(app.screen, PickerScreen))
        assert {preset.config.data.paths for preset in app.screen._presets} == {("notes/a.txt",)}
        await pilot.press("t", *["backspace"] * 20, "enter")
        await wait_until(pilot, lambda: "embedded" in text_of(app))
        await pilot.press("t", *"nonsense", "escape")
        await pilot.pause()
        assert app.screen._presets[0].config.data.paths == ()


async def test_fine_tuning_offers_the_runs_and_starts_from_the_one_that_is_taken(monkeypatch, record_of):
    run = record_of("quick-test", 0.5, state="finished", heartbeat=0.0)
    monkeypatch.setenv("TUI_TRAINER_RUNS", str(run.path.parent))
    launched = []
    app = picker(lambda config, preset: launched.append(config) or RecordedTraining(None))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        assert isinstance(app.screen, PickerScreen), "only what starts from a model asks for one"
        await pilot.press("end", "enter")
        await pilot.pause()
        assert run.path.name in text_of(app)
        await pilot.press(*"nope", "enter")
        await pilot.pause()
        assert "nope: no such run" in text_of(app)
        await pilot.press(*["backspace"] * 4, "down", "enter")
        await wait_until(pilot, lambda: isinstance(app.screen, PickerScreen))
        await pilot.press("enter")
        await pilot.pause()
    assert [config.base.path for config in launched] == [run.path.name]


@pytest.mark.parametrize("key", ["enter", "escape", "ctrl+c"])
async def test_what_is_absurd_here_is_red_and_starts_only_by_a_key_of_its_own(monkeypatch, key):
    monkeypatch.setattr("tui_trainer.tui.screens.picker.free_memory_bytes", lambda: 10**9)
    launched = []
    app = picker(lambda config, preset: launched.append(preset) or RecordedTraining(None))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("end", "up")
        await look_around(pilot)
        assert "✗ needs about" in text_of(app)
        await pilot.press("enter", key)
        await pilot.pause()
        assert launched == [] and isinstance(app.screen, PickerScreen)
        await pilot.press("enter", "s")
        await pilot.pause()
        assert launched == ["gpt2-124m"]


async def test_a_run_that_trains_here_is_said_and_a_second_start_asks_once(monkeypatch, record_of):
    run = record_of("quick-test", 0.5, pid=os.getpid())
    monkeypatch.setenv("TUI_TRAINER_RUNS", str(run.path.parent))
    launched = []

    def launch(config, preset):
        launched.append(preset)
        return RecordedTraining(None, is_running=False, failure="no luck")

    app = picker(launch)
    async with app.run_test(size=(80, 24)) as pilot:
        await look_around(pilot)
        assert f"o opens the run that trains here: {run.path.name}" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        assert launched == [] and "both will be slower" in app.screen._text
        await pilot.press("s")
        await pilot.pause()
        app.screen.look()
        await pilot.press("b")
        await wait_until(pilot, lambda: isinstance(app.screen, PickerScreen))
        await pilot.press("enter")
        await pilot.pause()
        assert launched == ["quick-test"] * 2


async def test_how_long_a_preset_takes_is_its_authors_word_only_until_this_machine_knows(monkeypatch, record_of):
    run = record_of("quick-test", 0.5, state="finished", step=1000, elapsed_seconds=100.0, heartbeat=0.0)
    app = picker()
    async with app.run_test(size=(120, 40)) as pilot:
        await look_around(pilot)
        assert "Under a minute" in text_of(app)
    monkeypatch.setenv("TUI_TRAINER_RUNS", str(run.path.parent))
    async with picker().run_test(size=(120, 40)) as pilot:
        await pilot.press("down")
        await look_around(pilot)
        shown = text_of(pilot.app)
        assert "About nine minutes" not in shown or "time         –" in shown
        assert "Needs the-verdict.txt" in shown
        await pilot.press("up")
        await pilot.pause()
        assert "Under a minute" not in text_of(pilot.app) and "~" in text_of(pilot.app)


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
async def test_fine_tuning_says_which_key_names_its_base(size):
    app = picker()
    async with app.run_test(size=size) as pilot:
        await pilot.press("end")
        await pilot.pause()
        shown = " ".join(text_of(app).replace("│", " ").split())
    assert "Enter, or b, names it" in shown
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
