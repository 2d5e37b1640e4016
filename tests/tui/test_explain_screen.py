"""`?`: of the run that is watched too, at every size down to its last line."""

from __future__ import annotations

import pytest
from recorded import RecordedTraining, app_on, catch_up, text_of

from tui_trainer.events import MicroBatchReduced, RolledBack, StepSkipped
from tui_trainer.presets import list_presets
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.services import Services

GROUPS = [
    {"name": "matrices", "optimizer": "adamw", "tensors": 16, "parameters": 393_216, "weight_decay": 0.1},
    {"name": "embeddings", "optimizer": "adamw", "tensors": 2, "parameters": 139_264, "weight_decay": 0.0},
    {"name": "last one\x1b[2J", "optimizer": ["x"]},
]
START = {
    "precision": "bf16", "precision_reason": "this GPU computes it", "micro_batch_size": 4, "baseline_loss": 5.97,
    "parameter_groups": GROUPS,
}  # fmt: skip
ALSO = [
    StepSkipped(1221, "overflow", None, None, 32768.0),
    StepSkipped(1222, "overflow", None, None, 16384.0),
    StepSkipped(1223, "non_finite", None, None),
    MicroBatchReduced(1224, 1, "out of memory"),
    RolledBack(1200, 1230, "diverged", 0.5),
]


async def last_page(size, services, run) -> str:
    app = app_on(services, RecordedTraining(run))
    async with app.run_test(size=size) as pilot:
        await catch_up(pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        app.screen.query_one("#explain").scroll_end(animate=False)
        await pilot.pause()
        return text_of(app)


async def test_this_run_is_explained(services, record_of):
    shown = await last_page((120, 40), services, record_of("quick-test", 0.55, start=START, also=ALSO))
    for text in (
        "bf16: this GPU computes it", "cpu, 2 threads", "4 sequences of 64 tokens = micro-batch 1 × 4 accumulated",
        "a val loss of 5.970", "multiplied with 0.5", "2 updates skipped", "1 update, because",
        "group         optimizer  tensors  parameters  weight decay",
        "matrices      adamw           16     393,216           0.1",
        "embeddings    adamw            2     139,264             0",
        "last one␛[2J  –                –           –             –",
    ):  # fmt: skip
        assert text in shown, text


@pytest.mark.parametrize("size", [(40, 12), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_last_line_can_be_scrolled_to(services, record_of, size):
    """The sizes between are in the pages of every screen."""
    assert "last one" in await last_page(size, services, record_of("quick-test", 0.55, start=START, also=ALSO))


async def test_an_old_log_tells_less_and_is_shown_all_the_same(services, record_of):
    shown = await last_page((120, 40), services, record_of("quick-test", 0.55))
    assert "4 sequences of 64 tokens" in shown and "fp32" in shown
    assert "optimizer treats alike" not in shown and "baseline" not in shown


async def test_without_a_run_there_is_only_the_guide():
    app = TrainerApp(Services(None, None), presets=list_presets())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        shown = text_of(app)
    assert "perplexity" in shown and "this run" not in shown
