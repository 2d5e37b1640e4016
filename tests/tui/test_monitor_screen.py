"""The monitor from recorded runs: what it shows at each size, and which keys work when."""

from __future__ import annotations

import pytest
from recorded import RECORDINGS, RecordedTraining, app_on, catch_up, text_of
from textual import events
from textual.widgets import Input

from tui_trainer.tui import theme
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.screens.explain import ExplainScreen
from tui_trainer.tui.screens.monitor import CHART_EVERY, MonitorScreen
from tui_trainer.tui.screens.question import Question
from tui_trainer.tui.widgets.chart import Chart


def footer_keys(app: TrainerApp) -> set[str]:
    """What the key line offers."""
    why_not = getattr(app.screen, "why_not", lambda _action: None)
    return {
        active.binding.description
        for active in app.screen.active_bindings.values()
        if active.binding.show and active.enabled and not why_not(active.binding.action.partition("(")[0])
    }


@pytest.mark.parametrize("name", [theme.DARK.name, theme.LIGHT.name])
async def test_picture_of_an_overfitting_run(services, record_of, picture, name):
    app = app_on(services, RecordedTraining(record_of("overfitting", 0.5)), "my-text")
    async with app.run_test(size=(120, 40)) as pilot:
        app.theme = name
        await catch_up(pilot)
        assert app.export_screenshot(title="") == picture


async def test_every_figure_is_on_the_screen(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.55)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        shown = text_of(app)
    for figure in ("1,220 / 2,244", "epoch 2 / 2", "54 %", "26 s elapsed", "s left", "3.715", "41.06", "21.5 %",
                   "3.824", "4.255", "70.45", "17.5 %", "2.031", "5.2e-4", "2.344", "469 MB", "536 k", "tokens / s",
                   "val −0.048 in 78"):  # fmt: skip
        assert figure in shown, figure


async def test_the_verdict_warns_with_evidence_and_remedy(services, record_of):
    app = app_on(services, RecordedTraining(record_of("overfitting", 0.5)))
    async with app.run_test(size=(200, 50)) as pilot:
        await catch_up(pilot)
        shown = " ".join(text_of(app).split())
    assert "above its best 4.366 (step 216)" in shown
    assert "More dropout, more weight decay" in shown


async def test_a_screen_that_is_too_small_says_so(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(30, 8)) as pilot:
        await catch_up(pilot)
        assert "make me a little larger" in text_of(app)


async def test_q_asks_and_a_second_q_stops(services, record_of):
    training = RecordedTraining(record_of("quick-test", 0.5))
    app = app_on(services, training)
    async with app.run_test() as pilot:
        await catch_up(pilot)
        await pilot.press("q")
        assert isinstance(app.screen, Question)
        assert training.stops == 0
        await pilot.press("q")
        await pilot.pause()
        assert training.stops == 1
        assert app.is_running, "the screen stays until the save is done"
        training.is_running = False
        app.monitor.look()
        await pilot.pause()
    assert not app.is_running


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_every_way_out_is_the_same_question_and_escape_goes_on(services, record_of, key):
    training = RecordedTraining(record_of("quick-test", 0.5))
    app = app_on(services, training)
    async with app.run_test() as pilot:
        await catch_up(pilot)
        await pilot.press(key)
        assert isinstance(app.screen, Question)
        await pilot.press("escape")
        assert isinstance(app.screen, MonitorScreen)
        assert training.stops == 0


async def test_the_palettes_quit_is_the_same_question(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test() as pilot:
        await catch_up(pilot)
        command = next(command for command in app.get_system_commands(app.screen) if command.title == "Quit")
        await command.callback()
        await pilot.pause()
        assert isinstance(app.screen, Question)


async def test_after_the_end_q_leaves_at_once(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", state="finished"), is_running=False))
    async with app.run_test() as pilot:
        await catch_up(pilot)
        await pilot.press("q")
        await pilot.pause()
    assert not app.is_running
    assert app.return_code == 0


async def test_the_footer_shows_only_keys_that_work_now(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        assert footer_keys(app) >= {"prompt", "explain", "quit"}
        assert "presets" not in footer_keys(app), "there is no picker to go back to"
        await pilot.press("p")
        await pilot.pause()
        assert footer_keys(app) >= {"generate", "settings", "leave the prompt"}
        assert not footer_keys(app) & {"prompt", "explain", "quit"}, "letters are text while a person types"


async def test_letters_in_the_prompt_are_text(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        await pilot.press("p", *"qp?")
        assert app.screen.query_one("#prompt", Input).value.endswith("qp?")
        assert isinstance(app.screen, MonitorScreen)


@pytest.mark.parametrize(("locale", "is_korean"), [("ko_KR.UTF-8", True), ("en_US.UTF-8", False), ("", False)])
async def test_the_help_has_korean_words_where_the_locale_is_korean(
    services, record_of, monkeypatch, locale, is_korean
):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(name, locale)
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, ExplainScreen)
        shown = text_of(app)
        assert ("혼란도" in shown and "검증 손실" in shown) == is_korean
        assert is_korean or not any("가" <= letter <= "힣" for letter in shown)
        await pilot.press("escape")
        assert isinstance(app.screen, MonitorScreen)


async def test_a_failure_is_shown_and_the_exit_stays_open(services, record_of):
    training = RecordedTraining(record_of("quick-test", 0.5))
    app = app_on(services, training)
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        training.is_running, training.failure = False, "disk full: [red]no[/red] space\nfree some"
        app.screen.look()
        await pilot.pause()
        shown = text_of(app)
        assert "failed" in shown
        assert "[red]no[/red]" in shown, "text of others is never markup"


async def test_the_training_may_end_while_the_question_stands(services, record_of):
    training = RecordedTraining(record_of("quick-test"))
    app = app_on(services, training)
    async with app.run_test() as pilot:
        await catch_up(pilot)
        await pilot.press("q")
        training.is_running = False
        app.monitor.look()
        await pilot.press("q")
        await pilot.pause()
    assert not app.is_running


@pytest.mark.parametrize("key", ["ctrl+q", "ctrl+c"])
async def test_the_question_comes_from_anywhere(services, record_of, key):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.5)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, Question)
        await pilot.press("escape", "escape", "p")
        if key == "ctrl+q":  # ctrl+c copies in a text field
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, Question)


async def test_curves_do_not_miss_what_came_at_an_odd_look(services, record_of):
    run = record_of("quick-test", 0.3)
    app = app_on(services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        drawn = app.screen.query_one(Chart)._lines
        if app.screen._ticks % CHART_EVERY == 0:
            app.screen.look()
        run.event_log.write_bytes((RECORDINGS / "quick-test.jsonl").read_bytes()[:60_000])
        app.screen.look()  # figures only
        assert app.screen.query_one(Chart)._lines == drawn
        for _ in range(CHART_EVERY - 1):
            app.screen.look()  # nothing is new, but the curves are stale
        assert app.screen.query_one(Chart)._lines != drawn


async def test_what_one_slow_look_took_in_is_shown(services, record_of, monkeypatch):
    """Reading may use up all of a look's time at once."""
    monkeypatch.setattr("tui_trainer.tui.screens.monitor.READING_SECONDS", -1.0)
    app = app_on(services, RecordedTraining(record_of("overfitting", 0.05)))
    async with app.run_test(size=(120, 40)) as pilot:
        app.screen.look()
        await pilot.pause()
        assert "training" in text_of(app) and "starting" not in text_of(app)


async def test_a_resumed_run_is_not_shown_as_ended(services, record_of):
    run = record_of("quick-test", phase="preparing_data")
    with run.event_log.open("a") as log:
        log.write(
            '{"v":1,"time":1795453999,"segment":1,"event":"PhaseStarted","phase":"preparing_data","total":null}\n'
        )
    app = app_on(services, RecordedTraining(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        assert "preparing data" in text_of(app) and "✓ completed" not in text_of(app)


async def test_keys_typed_in_one_burst_go_where_the_focus_will_be(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.55)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        for key in ("p", "a", "tab", "ctrl+u", "1", "tab", "ctrl+u", "7", "escape", "question_mark"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await pilot.pause()
        assert app.monitor.query_one("#prompt", Input).value.endswith("a")
        assert app.monitor.query_one("#setting-temperature", Input).value == "1"
        assert app.monitor.query_one("#setting-top_k", Input).value == "7"
        assert isinstance(app.screen, ExplainScreen)


async def test_a_paste_of_many_lines_arrives_whole_and_harmless(services, record_of):
    app = app_on(services, RecordedTraining(record_of("quick-test", 0.55)))
    async with app.run_test(size=(120, 40)) as pilot:
        await catch_up(pilot)
        await pilot.press("p", "ctrl+u")
        app.post_message(events.Paste("x" * 100_000 + "가\x1b[2J\n🙂\tb"))
        await pilot.pause()
        value = app.screen.query_one("#prompt", Input).value
        assert value.endswith("x가␛[2J⏎🙂 b") and len(value) == 10_000, "the model goes on from the end"
