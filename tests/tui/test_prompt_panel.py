"""The prompt panel: what is asked, who answers, and what a mistake is told."""

from __future__ import annotations

import pytest
from recorded import RecordedTraining, RecordedWriter, app_on, catch_up, text_of, wait_until
from textual import events
from textual.widgets import Input

from tui_trainer.tui.services import Services
from tui_trainer.tui.widgets.answer import Answer
from tui_trainer.tui.widgets.prompt_panel import PromptPanel


class TestPrompt:
    async def ask(self, pilot, text: str, *, is_slow: bool = False) -> Answer:
        """Types and presses Enter; back when the answer is there, or has begun when the writer is slow."""
        await catch_up(pilot)
        await pilot.press("p")
        pilot.app.screen.query_one("#prompt", Input).value = text
        answer = pilot.app.screen.query_one(Answer)
        before = (answer.hint, answer.prompt)
        await pilot.press("enter")
        await wait_until(pilot, lambda: (answer.hint, answer.prompt) != before and (is_slow or not answer.is_running))
        return answer

    async def test_the_best_checkpoint_answers_and_says_who_it_is(self, record_of):
        writer = RecordedWriter(["안", "녕 ", "🙂", " names"])
        app = app_on(Services(None, lambda run: writer), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            answer = await self.ask(pilot, "The object ")
            assert answer.text == "안녕 🙂 names"
            assert "answer · step 1,200 (best, val 4.255)" in text_of(app)
            prompt, settings = writer.asked[0]
            assert prompt == "The object "
            assert (settings.temperature, settings.top_k, settings.top_p, settings.seed) == (0.8, 40, 0.95, None)

    async def test_typing_replaces_the_example_and_goes_on_behind_what_a_person_wrote(self, record_of):
        app = app_on(Services(None, lambda run: RecordedWriter(["x"])), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await catch_up(pilot)
            prompt = app.screen.query_one("#prompt", Input)
            assert prompt.value == "The value of "
            await pilot.press("p", *"An")
            assert prompt.value == "An"
            await pilot.press("escape", "p", *"d")
            assert prompt.value == "And"

    async def test_a_paste_replaces_the_example(self, record_of):
        app = app_on(Services(None, lambda run: RecordedWriter(["x"])), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await catch_up(pilot)
            await pilot.press("p")
            prompt = app.screen.query_one("#prompt", Input)
            prompt.post_message(events.Paste("one\ntwo\rthree\r\nfour"))
            await pilot.pause()
            assert prompt.value == "one⏎two⏎three⏎four"

    async def test_the_example_can_be_asked_and_gone_on_with(self, record_of):
        writer = RecordedWriter(["x"])
        app = app_on(Services(None, lambda run: writer), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await catch_up(pilot)
            await pilot.press("p", "enter")
            await wait_until(pilot, lambda: writer.asked)
            assert writer.asked[0][0] == "The value of "
            await pilot.press("escape", "p", "end", *"x")
            assert app.screen.query_one("#prompt", Input).value == "The value of x"

    async def test_a_refusal_goes_with_the_mistake(self, record_of):
        app = app_on(Services(None, lambda run: RecordedWriter(["x"])), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await catch_up(pilot)
            await pilot.press("p", "tab", "ctrl+u", "enter")
            await wait_until(pilot, lambda: "temperature = nothing" in text_of(app))
            await pilot.press("1")
            await wait_until(pilot, lambda: "temperature = nothing" not in text_of(app))

    async def test_a_prompt_that_does_not_fit_is_said(self, record_of):
        """And of a paste that is too long for the line, the end is kept, which is what the model goes on from."""
        app = app_on(Services(None, lambda run: RecordedWriter(["x"])), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(80, 24)) as pilot:
            await catch_up(pilot)
            await pilot.press("p")
            app.screen.query_one("#prompt", Input).post_message(events.Paste("a" * 20_000 + "end"))
            await pilot.press("enter")
            panel = app.screen.query_one(PromptPanel)
            await wait_until(pilot, lambda: "only the last 1,000 tokens fit" in str(panel.border_title))
            assert app.screen.query_one("#prompt", Input).value.endswith("aend")

    async def test_settings_reach_the_writer(self, record_of):
        writer = RecordedWriter(["x"])
        app = app_on(Services(None, lambda run: writer), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await catch_up(pilot)
            await pilot.press("p", "tab")
            for value in ("0", "5", "0.5", "7", "42"):
                app.screen.focused.value = value
                await pilot.press("tab")
            await self.ask(pilot, "a")
            settings = writer.asked[0][1]
            assert (settings.temperature, settings.top_k, settings.top_p) == (0.0, 5, 0.5)
            assert (settings.max_new_tokens, settings.seed) == (7, 42)

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("temperature", "-1", "temperature = -1"),
            ("temperature", "nan", "temperature = nan"),
            ("top_p", "0", "top-p = 0"),
            ("top_p", "1.5", "top-p = 1.5"),
            ("top_k", "-3", "top-k = -3"),
            ("top_k", "2.5", "a whole number"),
            ("max_new_tokens", "", "a whole number"),
            ("seed", "x[b]", "seed = x[b]"),
        ],
    )
    async def test_a_wrong_setting_is_named_and_nothing_starts(self, record_of, field, value, message):
        writer = RecordedWriter(["x"])
        app = app_on(Services(None, lambda run: writer), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await catch_up(pilot)
            app.screen.query_one(f"#setting-{field}", Input).value = value
            await self.ask(pilot, "a")
            assert message in text_of(app)
            assert writer.asked == []

    async def test_one_escape_cancels_and_leaves(self, record_of):
        writer = RecordedWriter(["never "] * 1000, is_slow=True)
        app = app_on(Services(None, lambda run: writer), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await self.ask(pilot, "a", is_slow=True)
            await wait_until(pilot, lambda: bool(writer.asked))
            await pilot.press("escape")
            await wait_until(pilot, lambda: writer.was_cancelled)
            assert app.screen.focused is None

    async def test_before_there_is_a_checkpoint_it_says_so(self, services, record_of):
        app = app_on(services, RecordedTraining(record_of("quick-test", 0.012)))
        async with app.run_test(size=(120, 40)) as pilot:
            answer = await self.ask(pilot, "a")
            assert "no checkpoint yet" in text_of(app)
            assert answer.text == ""

    async def test_what_the_model_writes_is_shown_and_not_obeyed(self, record_of):
        writer = RecordedWriter(["\x1b]52;c;aGk=\x07[@click=app.quit]a[/] \x9b2J ‮b"])
        app = app_on(Services(None, lambda run: writer), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await self.ask(pilot, "[bold]x\x1b[2J")
            shown = text_of(app)
            assert not {"\x1b", "\x07", "\x9b", "‮"} & set(shown)
            assert "[@click=app.quit]a[/]" in shown

    async def test_it_goes_on_answering_after_the_end(self, record_of):
        writer = RecordedWriter(["still here"])
        training = RecordedTraining(record_of("quick-test", state="finished"), is_running=False)
        app = app_on(Services(None, lambda run: writer), training)
        async with app.run_test(size=(120, 40)) as pilot:
            answer = await self.ask(pilot, "a")
            assert answer.text == "still here"

    async def test_a_writer_that_fails_does_not_end_the_screen(self, record_of):
        def broken(run):
            raise RuntimeError("no weights [here]")

        app = app_on(Services(None, broken), RecordedTraining(record_of("quick-test", 0.55)))
        async with app.run_test(size=(120, 40)) as pilot:
            await self.ask(pilot, "a")
            assert "no weights [here]" in text_of(app)
            assert app.screen.query_one(PromptPanel)
