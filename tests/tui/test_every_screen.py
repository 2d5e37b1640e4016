"""Every screen at every size as rows of characters: what stands where, what is left out, which keys are offered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shutil import copytree

import pytest
from recorded import RecordedTraining, app_on, catch_up, look_around, text_of
from textual.pilot import Pilot

from tui_trainer.events import AdviceRaised, RolledBack, SampleGenerated, StepSkipped
from tui_trainer.presets import list_presets
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.screens.monitor import MonitorScreen
from tui_trainer.tui.screens.picker import PickerScreen
from tui_trainer.tui.services import Services

SIZES = [(40, 12), (80, 24), (120, 40), (200, 50)]
TOO_SMALL = [(39, 12), (40, 11), (20, 5)]
RECOVERED = [
    StepSkipped(1221, "non_finite", None, None),
    RolledBack(1200, 1240, "loss 9.112 after 3.715", 0.5),
    SampleGenerated(1200, "The value of", " the name is evaluated in the order of the list.", {}, 12, 3, "x"),
    AdviceRaised("gradients", "warning", "clipped in 97 of 100 steps", "A lower learning rate.", 1200, {}),
    AdviceRaised("plateau", "note", "val fell 0.002 in 5 evaluations", "Stop here.", 1200, {}),
]
GROUPS = [
    {"name": "matrices", "optimizer": "adamw", "tensors": 16, "parameters": 393_216, "weight_decay": 0.1},
    {"name": "embeddings", "optimizer": "adamw", "tensors": 2, "parameters": 139_264, "weight_decay": 0.0},
]
START = {
    "precision": "bf16", "precision_reason": "this GPU computes it", "micro_batch_size": 4, "baseline_loss": 5.97,
    "parameter_groups": GROUPS,
}  # fmt: skip

RecordOf = Callable[..., RunDirectory]
OpenApp = Callable[[Services, RecordOf], TrainerApp]


@dataclass(frozen=True)
class Place:
    """How somebody comes to a screen: an app, then keys."""

    open_app: OpenApp
    keys: tuple[str, ...] = ()
    keys_at_each_size: tuple[str, ...] = ()


def pick(services: Services, record_of: RecordOf) -> TrainerApp:
    return TrainerApp(services, presets=list_presets())


def list_runs(services: Services, record_of: RecordOf) -> TrainerApp:
    """One that trains, and one with a long name that wrote nothing about itself."""
    training = record_of("quick-test", 0.5, step=1122, max_steps=2244)
    other = RunDirectory(training.path.with_name("20261122-091500-shakespeare-char"))
    copytree(training.path, other.path)
    other.manifest.write_text('{"id": "20261122-091500-shakespeare-char", "preset": "shakespeare-char"}')
    other.status_file.unlink()
    (training.checkpoints / "best.json").write_text('{"step": 1122}')
    (training.checkpoints / "step-00001122.json").write_text('{"metrics": {"val_loss": 4.3022}}')
    return TrainerApp(services, runs=[training, other])


def list_none(services: Services, record_of: RecordOf) -> TrainerApp:
    return TrainerApp(services, runs=[])


def watch(services: Services, record_of: RecordOf) -> TrainerApp:
    return app_on(services, RecordedTraining(record_of("quick-test", 0.55)))


def watch_recovered(services: Services, record_of: RecordOf) -> TrainerApp:
    return app_on(services, RecordedTraining(record_of("quick-test", 0.55, start=START, also=RECOVERED)))


PLACES = {
    "picker": Place(pick),
    "picker-of-the-largest": Place(pick, ("end", "up")),
    "picker-without-a-base": Place(pick, ("end",)),
    "runs": Place(list_runs),
    "no-runs": Place(list_none),
    "monitor": Place(watch),
    "monitor-with-advice": Place(watch_recovered),
    "prompt": Place(watch, ("p",)),
    "explain": Place(pick, ("question_mark",)),
    "explain-this-run": Place(watch_recovered, ("question_mark",), ("end",)),
    "leave": Place(watch, ("q",)),
    "stop": Place(watch, ("x",)),
    "learning-rate": Place(watch, ("r",)),
    "last-step": Place(watch, ("m",)),
}


@pytest.mark.parametrize("name", PLACES)
async def test_text_of(steered, record_of, page, name):
    """One app is resized from the largest down, as a person does it."""
    app = PLACES[name].open_app(steered.services, record_of)
    app.animation_level = "none"
    pages = []
    async with app.run_test(size=SIZES[-1]) as pilot:
        await arrive(pilot, PLACES[name].keys)
        for width, height in reversed(SIZES):
            await pilot.resize_terminal(width, height)
            await pilot.press(*PLACES[name].keys_at_each_size)
            pages.append(f"{width}×{height}\n{rows_of(app)}\n")
    assert "\n".join(reversed(pages)) == page


async def arrive(pilot: Pilot[None], keys: tuple[str, ...]) -> None:
    await pilot.pause()
    if isinstance(pilot.app.screen, MonitorScreen):
        await catch_up(pilot)
    elif isinstance(pilot.app.screen, PickerScreen):
        await look_around(pilot)
    await pilot.press(*keys)
    await pilot.pause()


def rows_of(app: TrainerApp) -> str:
    return "\n".join(line.rstrip() for line in text_of(app).splitlines())


@pytest.mark.parametrize("open_app", [pick, list_runs, watch], ids=lambda open_app: open_app.__name__)
async def test_too_small_a_screen_says_only_that(services, record_of, open_app):
    app = open_app(services, record_of)
    async with app.run_test(size=SIZES[0]) as pilot:
        await arrive(pilot, ())
        assert "make me" not in text_of(app)
        for size in TOO_SMALL:
            await pilot.resize_terminal(*size)
            assert text_of(app).split() == ["make", "me", "a", "little", "larger"]
