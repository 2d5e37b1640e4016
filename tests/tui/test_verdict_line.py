"""The verdict pane: the worst advice with its remedy, and what else stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded import RECORDINGS, RecordedTraining, app_on, catch_up, text_of

from tui_trainer.event_codec import decode
from tui_trainer.events import AdviceCleared, AdviceRaised, RunFinished, RunStarted
from tui_trainer.tui.widgets.verdict_line import VerdictLine

ALSO = [
    AdviceRaised("plateau", "note", "val fell 0.002 in 5 evaluations", "Stop.", 1200, {}),
    AdviceRaised("a_[b]rule[/b]\x1b[2J", "[b]odd[/b]", "it is odd", "Rest.", 1200, {}),
    AdviceRaised("gradients", "warning", "clipped in 97 of 100 steps", "A lower learning rate.", 1200, {}),
]


async def shown_at(size, services, record_of, also=ALSO) -> tuple[str, list[str], int]:
    """The screen, the lines of the pane, and how many of them there is room for."""
    app = app_on(services, RecordedTraining(record_of("overfitting", 0.5, also=also)))
    async with app.run_test(size=size) as pilot:
        await catch_up(pilot)
        verdict = app.screen.query_one(VerdictLine)
        lines = ["".join(part for part, _ in line).strip() for line in verdict._lines]
        return " ".join(text_of(app).split()), lines, verdict.size.height


async def test_the_others_are_named_in_the_frame_and_the_remedy_is_whole(services, record_of):
    shown, lines, _ = await shown_at((120, 40), services, record_of)
    assert "more: " in shown and "plateau, a [b]rule[/b]␛[2J" in shown, "and nobody's text is markup"
    assert any(line.endswith("The best checkpoint is kept.") for line in lines) and "…" not in "".join(lines)


async def test_on_a_large_screen_they_are_shown(services, record_of):
    shown, _, _ = await shown_at((200, 50), services, record_of)
    assert "▲ gradients: clipped in 97 of 100 steps" in shown
    assert "• plateau: val fell 0.002 in 5 evaluations" in shown
    assert "• a [b]rule[/b]␛[2J: it is odd" in shown
    assert " more" not in shown.replace("or more data", "").replace("more weight", ""), "nothing is left to name"


@pytest.mark.parametrize("size", [(80, 24), (40, 12)], ids=["80x24", "40x12"])
async def test_without_a_frame_their_number_is_at_the_end(services, record_of, size):
    shown, lines, height = await shown_at(size, services, record_of)
    assert "… + 3 more" in shown
    assert len(lines) == height


async def test_advice_that_has_passed_is_no_longer_counted(services, record_of):
    cleared = [AdviceCleared(advice.rule, 1201) for advice in ALSO]
    shown, _, _ = await shown_at((120, 40), services, record_of, also=[*ALSO, *cleared])
    assert "+ " not in shown


async def test_at_the_end_the_best_is_the_one_that_was_left_behind(services, record_of):
    lines = (RECORDINGS / "quick-test.jsonl").read_bytes().splitlines()
    start = next(event for line in lines if isinstance(event := decode(line).event, RunStarted))
    also = [replace(start, resumed_from_step=1500), RunFinished("stopped", 1510, 60.0)]
    app = app_on(services, RecordedTraining(record_of("quick-test", also=also)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        shown = text_of(app)
    assert "best at step 2,244" in shown and "step 2,244 answers (best, val 4.011)" in shown
