"""What the model writes at each evaluation is shown until somebody asks for something else."""

from __future__ import annotations

import pytest
from recorded import RecordedTraining, RecordedWriter, app_on, catch_up, text_of, wait_until
from textual.widgets import Input

from tui_trainer.event_codec import encode
from tui_trainer.events import Record, RolledBack, SampleGenerated
from tui_trainer.tui.services import Services
from tui_trainer.tui.widgets.answer import Answer


def sampled(step: int, prompt: str, text: str) -> SampleGenerated:
    return SampleGenerated(step, prompt, text, {}, tokens=60, quoted_tokens=12, quote="x")


def add(run, *events) -> None:
    with run.event_log.open("ab") as log:
        log.write(b"".join(encode(Record(1795454000.0, 0, event)) for event in events))


SAMPLES = [sampled(1200, "The value", " of a name"), sampled(1200, "A class", " is bound")]


async def test_the_newest_sample_stands_where_the_answers_will(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.55, also=SAMPLES)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        shown = text_of(app)
    assert "sample of step 1,200   longest quote of the text: 12 of 60 tokens" in shown
    assert "The value of a name" in shown


async def test_it_is_drawn_once_an_evaluation_however_many_prompts_there_are(services, record_of, monkeypatch):
    run = record_of("quick-test", 0.55, also=SAMPLES)
    app = app_on(services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        answer, drawings = app.screen.query_one(Answer), []
        redraw = answer.redraw
        monkeypatch.setattr(answer, "redraw", lambda: (drawings.append(1), redraw()))
        for event in (sampled(1400, "The value", " is new"), sampled(1400, "A class", " is new too")):
            add(run, event)
            await catch_up(pilot)
        assert len(drawings) == 1
        assert "The value is new" in text_of(app)


async def test_an_answer_is_never_replaced_by_a_sample(record_of):
    run = record_of("quick-test", 0.55, also=SAMPLES)
    app = app_on(Services(None, lambda run: RecordedWriter([" my answer"])), RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        await pilot.press("p")
        app.screen.query_one("#prompt", Input).value = "Mine:"
        await pilot.press("enter")
        await wait_until(pilot, lambda: not app.screen.query_one(Answer).is_running)
        add(run, sampled(1400, "The value", " is new"))
        await catch_up(pilot)
        shown = text_of(app)
    assert "Mine: my answer" in shown and "sample of step" not in shown


async def test_a_mistake_that_was_named_stays_named(services, record_of):
    run = record_of("quick-test", 0.55, also=SAMPLES)
    app = app_on(services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        await pilot.press("p")
        app.screen.query_one("#setting-seed", Input).value = "x"
        await pilot.press("enter")
        add(run, sampled(1400, "The value", " is new"))
        await catch_up(pilot)
        assert "seed = x" in text_of(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_a_hostile_or_long_sample_fits_and_is_not_obeyed(services, record_of, size):
    hostile = sampled(1200, "\x1b[2J[b]p[/b]", "\x9b31m‮ " + "한글 words " * 20_000)
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.55, also=[hostile])))
    async with app.run_test(size=size) as pilot:
        await catch_up(pilot)
        answer, shown = app.screen.query_one(Answer), text_of(app)
        assert "[b]p[/b]" in shown and not {"\x1b", "\x9b", "‮"} & set(shown)
        assert len(answer._lines) == answer.size.height
        assert answer.hidden[0] == 0 and answer.hidden[1] > 10, "the rest can be scrolled to"


async def test_a_sample_that_never_happened_is_taken_back(services, record_of):
    run = record_of("quick-test", 0.55, also=[*SAMPLES, RolledBack(1000, 1220, "diverged", 0.5)])
    app = app_on(services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        assert "ask the best checkpoint" in text_of(app)
