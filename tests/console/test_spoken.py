from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.console import spoken_state, spoken_words
from tui_trainer.console.spoken import CALM_SECONDS, Narrator
from tui_trainer.console.spoken_lists import preset_sentence, run_sentence
from tui_trainer.event_codec import encode
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    CheckpointSaved,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    MicroBatchReduced,
    PhaseStarted,
    Record,
    RolledBack,
    RunFailed,
    RunFinished,
    RunMoving,
    RunPaused,
    RunResumed,
    RunStarted,
    SampleGenerated,
    StepCompleted,
    StepSkipped,
    TerminalLost,
)
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.forecast import make_forecasts
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import list_presets

RECORDED = sorted(path.stem for path in (Path(__file__).parent.parent / "recordings").glob("*.jsonl"))
HOSTILE = "a\x1b]0;x\x07\x9b31m\u202e\nb"


def told(run, own_commands=()) -> list[tuple[float, str]]:
    """What a listener hears of a run, and when."""
    follower = RunFollower(run)
    narrator, lines = Narrator(follower, own_commands), []
    follower.drain(lambda record: lines.extend((record.time, line) for line in narrator.sentences(record)))
    return lines


def lines_of(run, own_commands=()) -> list[str]:
    return [line for _, line in told(run, own_commands)]


def write(run, *events, seconds: float = 1.0) -> None:
    """A log with an event each second."""
    records = (Record(3600.0 + seconds * n, 0, event) for n, event in enumerate(events))
    run.event_log.write_bytes(b"".join(encode(record) for record in records))


def start(**changes) -> RunStarted:
    values = {
        "run_id": "r", "parameter_count": 401_664, "max_steps": 1000, "tokens_per_step": 256, "steps_per_epoch": 500.0,
        "train_tokens": 1, "val_tokens": 1, "vocab_size": 1, "world_size": 1, "threads": 1, "device": "cpu",
        "precision": "fp32",
    }  # fmt: skip
    return RunStarted(**(values | changes))


def step(number: int, loss: float | None = 4.214, **changes) -> StepCompleted:
    values = dict.fromkeys(StepCompleted.__dataclass_fields__, 1.0)
    values |= {"step": number, "epoch": 1, "tokens_seen": 256, "peak_memory_bytes": 0, "is_clipped": False}
    values |= {"train_loss": loss, "tokens_per_second": 2560.0, "learning_rate": 3e-4}
    return StepCompleted(**(values | changes))


def evaluation(number: int, val_loss: float = 4.3, train_loss: float = 4.2, *, is_best: bool = True):
    values = dict.fromkeys(EvaluationCompleted.__dataclass_fields__, 1.0)
    values |= {"step": number, "epoch": 1, "val_loss": val_loss, "train_eval_loss": train_loss, "is_best": is_best}
    values["is_noise"] = False
    return EvaluationCompleted(**(values | {"val_perplexity": math.exp(val_loss)}))


def is_sign(character: str) -> bool:
    """A voice says letters of any script; a sign outside ASCII it spells out or swallows."""
    return not character.isascii() and unicodedata.category(character)[0] not in "LM"


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_run_is_told_in_sentences_without_signs(make_run, name):
    run = make_run(recording=name)
    follower = RunFollower(run)
    follower.drain()
    lines = [*lines_of(run), *spoken_state.standing(follower), *spoken_state.results(follower.state)]
    assert len(lines) > 4
    for line in lines:
        assert line.endswith((".", "?", "!", ":")), line
        assert not any(map(is_sign, line)) and "  " not in line, line
        assert not re.search(r"\d[eE][-+]?\d|\d ?%|\bNone\b|\bnan\b|\bval\b", line), line


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("kind", [r"Step [\d,]+ of", r"Evaluation at"])
def test_nothing_that_happens_all_the_time_is_told_twice_in_ten_seconds(make_run, name, kind):
    times = [time for time, line in told(make_run(recording=name)) if re.match(kind, line)]
    assert all(later - earlier >= CALM_SECONDS for earlier, later in pairwise(times))


def test_a_recorded_run_is_told_from_its_start_to_its_end(make_run):
    lines = lines_of(make_run(recording="quick-test"))
    assert lines[0] == "Preparing the text."
    assert lines[1].startswith("The training begins: run ") and "536,000 parameters, 2,244 steps" in lines[1]
    assert lines[2] == "Evaluation at step 0: validation loss 6.95, the best so far; perplexity 1,042."
    assert lines[3] == "Saved step 0."
    progress = next(line for line in lines if line.startswith("Step "))
    assert progress == "Step 520 of 2,244, 23 percent. Training loss 4.62, and falling. About 35 seconds left."
    assert lines[-1] == "The training is complete at step 2,244 after 47 seconds, and is saved."
    assert 10 < len(lines) < 25


def test_a_slow_run_is_told_at_each_tenth_and_at_each_evaluation(make_run):
    run = make_run()
    steps = [step(number) for number in range(1, 1001)]
    write(run, start(), *steps[:450], evaluation(450), *steps[450:], seconds=60.0)
    told_steps = [line.split(",")[0] for line in lines_of(run) if line.startswith("Step ")]
    assert told_steps == [f"Step {n} of 1" for n in (1, 100, 200, 300, 400, 450, 500, 600, 700, 800, 900)] + [
        "Step 1"  # "Step 1,000 of 1,000"
    ]


def test_an_evaluation_that_came_too_soon_is_told_later(make_run):
    run = make_run()
    write(run, start(), evaluation(0, 5.0), *map(step, range(1, 4)), evaluation(3), *map(step, range(4, 20)))
    told_lines = [(time - 3600, line) for time, line in told(run) if line.startswith("Evaluation")]
    assert told_lines == [
        (1.0, "Evaluation at step 0: validation loss 5.00, the best so far; perplexity 148."),
        (11.0, "Evaluation at step 3: validation loss 4.30, the best so far; perplexity 73.7."),
    ]


def test_an_evaluation_that_never_happened_is_not_told_later(make_run):
    run = make_run()
    blown_up = (step(1), evaluation(1, 9.9, is_best=False), RolledBack(0, 1, "it blew up", 0.5))
    write(run, start(), evaluation(0, 5.0), *blown_up, *map(step, range(1, 30)))
    assert not [line for line in lines_of(run) if "step 1:" in line]


def test_a_saved_best_is_told_with_its_evaluation_and_no_other_checkpoint_is(make_run):
    run = make_run()
    write(
        run,
        start(),
        evaluation(0, 5.0),
        CheckpointSaved(0, "p", is_best=True, seconds=0.1),
        step(1),
        evaluation(1),
        CheckpointSaved(1, "p", is_best=True, seconds=0.1),
        CheckpointSaved(1, "p", is_best=False, seconds=0.1),
        *map(step, range(2, 20)),
        CheckpointSaved(19, "p", is_best=False, seconds=0.1),
    )
    lines = lines_of(run)
    assert [line for line in lines if line.startswith("Saved")] == ["Saved step 0.", "Saved step 1."]
    assert lines.index("Saved step 1.") == lines.index(next(line for line in lines if "at step 1:" in line)) + 1


def test_a_clock_that_is_put_back_silences_nothing(make_run):
    run = make_run()
    records = [Record(9000.0, 0, start()), Record(9000.0, 0, step(1)), Record(100.0, 0, step(200))]
    run.event_log.write_bytes(b"".join(map(encode, records)))
    assert [line for line in lines_of(run) if line.startswith("Step 200 ")]


def test_each_kind_of_event_has_its_sentence(make_run):
    run = make_run()
    write(
        run,
        PhaseStarted("compiling", 10),
        start(precision="bf16"),
        PhaseStarted("training", 10),
        AdviceRaised("learning_rate_high", "warning", "val 4.2 → 4.4 (1e-4 × 3)", "Lower it to 3e-04 (학습률).", 3, {}),
        AdviceRaised("learning_rate_high", "wrong", "val 9 %", "Lower it to 3e-04 (학습률).", 3, {}),
        AdviceCleared("learning_rate_high", 4),
        StepSkipped(5, "overflow", None, None, 32768.0),
        StepSkipped(6, "non_finite", None, 3.25),
        RolledBack(3, 6, "step 6: train loss 9.1", 0.5),
        MicroBatchReduced(4, 2, "CUDA out of memory"),
        RunPaused(400),
        RunResumed(400, 200.0),
        TerminalLost(),
        RunMoving(1200, 5.0),
        start(base={"name": "an earlier run", "step": 7}),
        start(resumed_from_step=1200, max_steps=2000),
        RunFailed("the disk is full\nfree some space", 4, 1.0),
        RunFinished("early_stopped", 1200, 75.0),
    )
    assert lines_of(run) == [
        "Compiling the model, which may take a minute.",
        "The training begins: run r, 402,000 parameters, 1,000 steps, on cpu in bf16.",
        "Warning: learning rate high. Validation loss 4.2 to 4.4 (0.0001 times 3).",
        "What to do: Lower it to 0.0003.",
        "Something is wrong: learning rate high. Validation loss 9 percent.",
        "This has passed: learning rate high.",
        "Step 5 overflowed in fp16, which is normal: it comes again.",
        "Went back from step 6 to step 3, with 0.5 times the planned learning rate. "
        "The reason: step 6: training loss 9.1.",
        "Memory ran out: from now on 2 sequences are in memory at once in a step. CUDA out of memory.",
        "Paused at step 400, which is saved.",
        "Going on from step 400 after a pause of 3 minutes 20 seconds.",
        "Its terminal is gone; it trains on.",
        "Step 1,200 is saved, and another process takes the run over.",
        "The training goes on from an earlier run: run r, 402,000 parameters, 1,000 steps, on cpu in fp32.",
        "Going on with run r from step 1,200 of 2,000.",
        "The training failed at step 4 after 1 second: the disk is full; free some space.",
        "The training stopped early at step 1,200 after 1 minute 15 seconds, and is saved.",
    ]


def test_who_asked_for_what_is_told_and_what_came_of_it(make_run):
    run, rate = make_run(), {"key": "training.learning_rate", "value": 0.0005}
    sample = SampleGenerated(7, "The", " value\nof x\x1b[2J", {})
    write(
        run,
        start(),
        evaluation(0, 5.0),
        SampleGenerated(0, "The", "nobody asked", {}),
        step(7),
        ControlApplied("1", "evaluate", None, "me on pts/1", 7),
        evaluation(7),
        ControlApplied("2", "sample", None, "me on pts/1", 7),
        sample,
        ControlApplied("2", "sample", None, "me on pts/1", 7),
        ControlApplied("3", "save", None, "me on pts/1", 7),
        CheckpointSaved(7, "p", is_best=False, seconds=0.1),
        ControlApplied("4", "save", None, "me on pts/1", 7),
        ControlApplied("5", "set", rate, "you on pts/2", 7),
        ControlDiscarded("6", "set", {"key": "x.y", "value": "z"}, "me on pts/1", "unknown section"),
        ControlDiscarded("7", "resume", None, "me on pts/1", "it is not paused"),
        ControlDiscarded("8", "dance", None, "me on pts/1"),
    )
    written = ["At step 7 the model writes:", "The value", "of x␛[2J", "End of the text."]
    assert lines_of(run, {"1", "3", "7"})[2:] == [
        "You asked for an evaluation.",
        "Evaluation at step 7: validation loss 4.30, the best so far; perplexity 73.7.",
        "Me on pts/1 asked for a sample.",
        *written,
        "Me on pts/1 asked for a sample.",
        *written,
        "You asked to save.",
        "Saved step 7.",
        "Me on pts/1 asked to save.",
        "Step 7 was saved already.",
        "You on pts/2 set training.learning_rate to 0.0005.",
        "Me on pts/1 asked to set x.y to z, which had no effect: unknown section.",
        "You asked to go on, which had no effect: it is not paused.",
        "Me on pts/1 asked for dance, which had no effect.",
    ]


def test_no_text_of_a_log_reaches_the_terminal_raw(make_run):
    run = make_run()
    write(
        run,
        start(run_id=HOSTILE, device=HOSTILE, precision=HOSTILE),
        PhaseStarted(HOSTILE),
        AdviceRaised(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, {}),
        AdviceCleared(HOSTILE, 1),
        ControlApplied(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1),
        ControlDiscarded(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        ControlApplied("3", "set", {"key": HOSTILE, "value": HOSTILE}, HOSTILE, 1),
        ControlApplied("4", "sample", None, HOSTILE, 1),
        SampleGenerated(1, HOSTILE, HOSTILE, {}),
        StepSkipped(1, HOSTILE, None, None),
        RolledBack(1, 2, HOSTILE, 0.5),
        MicroBatchReduced(1, 2, HOSTILE),
        RunFinished(HOSTILE, 1, 1.0),
        RunFailed(HOSTILE, 1, 1.0),
    )
    follower = RunFollower(run)
    follower.drain()
    lines = [*lines_of(run), *spoken_state.standing(follower)]
    assert len(lines) > 16
    assert all(line.isprintable() for line in lines)


def test_what_is_not_known_is_said_to_be_unknown(make_run):
    run = make_run()
    unknown = {"train_loss": None, "train_perplexity": None, "train_accuracy": None, "grad_norm": None}
    nothing = dict.fromkeys(EvaluationCompleted.__dataclass_fields__) | {
        "step": 1, "epoch": 1, "elapsed_seconds": 0.0, "is_best": False, "seconds": 0.0, "is_noise": False,
    }  # fmt: skip
    write(run, start(), step(1, **unknown), EvaluationCompleted(**nothing), *map(step, range(2, 20)))
    lines = lines_of(run)
    assert "Step 1 of 1,000, less than 1 percent. Training loss unknown." in lines
    assert "Evaluation at step 1: validation loss unknown; perplexity unknown." in lines


def test_status_says_everything_and_takes_the_place_of_the_next_progress(make_run):
    run = make_run()
    write(run, start(), evaluation(0, 5.0, 5.0), *map(step, range(1, 7)), evaluation(6, 5.5, is_best=False),
          AdviceRaised("overfitting", "warning", "val rose", "Rest.", 6, {}))  # fmt: skip
    follower = RunFollower(run)
    follower.drain()
    narrator = Narrator(follower)
    assert narrator.status(4000.0) == [
        "Step 6 of 1,000, 1 percent. Training loss 4.21, and falling. About 1 minute 50 seconds left.",
        "Evaluation at step 6: validation loss 5.50, not better than 5.00 at step 0; perplexity 245.",
        "The best is step 0: validation loss 5.00, perplexity 148.",
        "Epoch 1 of 2. Learning rate 0.0003; 2,560 tokens per second.",
        "Warning: overfitting. Validation loss rose.",
    ]
    assert narrator.sentences(Record(4009.0, 0, step(300))) == []


def test_a_run_without_a_step_has_a_standing_too(make_run):
    follower = RunFollower(make_run())
    assert spoken_state.standing(follower) == spoken_state.place(follower) == ["The training has not begun yet."]
    assert spoken_state.best(follower.state) == "There is no evaluation yet."


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        (spoken_words.whole(1240), "1,240"),
        (spoken_words.rough(401_664), "402,000"),
        (spoken_words.rough(124_439_808), "124 million"),
        (spoken_words.rough(1_200), "1,200"),
        (spoken_words.rough(999_900), "1 million"),
        (spoken_words.rough(10**400), "unknown"),
        (spoken_words.rough(1e300), "more than a thousand trillion"),
        (spoken_words.loss(4.2961), "4.30"),
        (spoken_words.loss(0.1234), "0.123"),
        (spoken_words.loss(math.nan), "unknown"),
        (spoken_words.perplexity(73.66), "73.7"),
        (spoken_words.perplexity(1042.4), "1,042"),
        (spoken_words.rate(3e-4), "0.0003"),
        (spoken_words.rate(1.25e-7), "0.000000125"),
        (spoken_words.rate(1e-30), "less than a billionth"),
        (spoken_words.rate(0.0), "0"),
        (spoken_words.rate(100.0), "100"),
        (spoken_words.percent(0.183), "18 percent"),
        (spoken_words.percent(0.0), "0 percent"),
        (spoken_words.duration(200), "3 minutes 20 seconds"),
        (spoken_words.duration(61), "1 minute 1 second"),
        (spoken_words.duration(3840), "1 hour 4 minutes"),
        (spoken_words.duration(180), "3 minutes"),
        (spoken_words.duration(2 * 86400 + 3 * 3600), "2 days 3 hours"),
        (spoken_words.duration(-5), "0 seconds"),
        (spoken_words.duration(1e11), "3,170 years"),
        (spoken_words.exactly(12345), "12,345"),
        (spoken_words.exactly(1_000_000), "1,000,000"),
        (spoken_words.exactly(0.00012345), "0.00012345"),
        (spoken_words.exactly(-3e-4), "-0.0003"),
        (spoken_words.exactly(0.1), "0.1"),
        (spoken_words.exactly(1e300), "more than a thousand trillion"),
        (spoken_words.exactly(1e-30), "less than a billionth"),
        (spoken_words.about(26), "about 25 seconds"),
        (spoken_words.about(2), "a few seconds"),
        (spoken_words.about(3700), "about 1 hour 2 minutes"),
    ],
)
def test_numbers_are_said_as_people_say_them(spoken, expected):
    assert spoken == expected


@given(st.floats() | st.integers())
def test_no_number_has_a_sign_or_takes_long_to_hear(value):
    forms = (spoken_words.whole, spoken_words.rough, spoken_words.loss, spoken_words.perplexity, spoken_words.percent)
    for form in (*forms, spoken_words.rate, spoken_words.duration):
        assert re.fullmatch(r"[\w ,.-]{1,60}", form(value), re.ASCII), form
        assert not re.search(r"\de", form(value))


@given(st.integers(-(10**14), 10**14) | st.floats(1e-8, 1e14))
def test_what_was_set_is_told_to_its_last_figure(value):
    assert float(spoken_words.exactly(value).replace(",", "")) == value


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("/data/val/5 %: no such file", "/data/val/5 %: no such file"),
        ("val.txt: no such file", "val.txt: no such file"),
        ("no run val-1e5 here, val 4.2 → 4.4", "no run val-1e5 here, validation loss 4.2 to 4.4"),
        ('there is no command "val 5 k"', 'there is no command "val 5 k"'),
        ("again and again “val → 5 %”: val 9 %", 'again and again "val → 5 %": validation loss 9 percent'),
        ("set training.learning_rate=3e-4", "set training.learning_rate=0.0003"),
    ],
)
def test_only_the_words_of_the_program_are_said_in_others(message, told):
    assert spoken_words.in_words(message) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("runs/x: nobody trains it", "runs/x: nobody trains it."),
        ("training.epochs: must be a number", "training.epochs: must be a number."),
        ("val-1 is no run", "val-1 is no run."),
        ("one, two", "One, two."),
        ("stop", "Stop."),
    ],
)
def test_a_sentence_begins_with_a_capital_unless_it_begins_with_a_name(text, told):
    assert spoken_words.sentence(text) == told


def test_names_and_values_of_others_stay_as_they_are(make_run):
    run = make_run("val-1", description={"id": "val-1", "preset": "val → x"})
    setting = {"key": "data.val → 5 %", "value": "train loss 5 %"}
    steps = {"key": "training.max_steps", "value": 12345}
    write(
        run,
        start(run_id="val-1", device="val"),
        ControlApplied("1", "set", setting, "val", 0),
        ControlApplied("2", "set", steps, "kim", 0),
        ControlDiscarded("3", "val", None, "kim", "val 5 %"),
    )
    assert lines_of(run) == [
        "The training begins: run val-1, 402,000 parameters, 1,000 steps, on val in fp32.",
        "Val set data.val → 5 % to train loss 5 %.",
        "Kim set training.max_steps to 12,345.",
        "Kim asked for val, which had no effect: validation loss 5 percent.",
    ]
    assert run_sentence(run, 0.0) == "val-1, Python's manual, unknown."


@given(st.text())
def test_any_text_becomes_one_harmless_line(text):
    for line in (spoken_words.in_words(text), spoken_words.sentence(text), spoken_words.verbatim(text)):
        assert safe_line(line) == line
    assert spoken_words.sentence(text).endswith((".", "!", "?", ":"))


def test_a_preset_is_a_short_sentence_that_says_why_it_cannot_start():
    presets = list_presets()
    forecasts = make_forecasts(presets)
    for preset, forecast in zip(presets, forecasts, strict=True):
        line = preset_sentence(preset, forecast)
        assert line.startswith(f"{preset.name}. ") and line.endswith(".") and line.isascii()
        assert ("Cannot start here: " in line) == (forecast.problem is not None), line
    quick, forecast = presets[0], forecasts[0]
    assert preset_sentence(quick, forecast) == "quick-test. Does the code work? Under a minute on two CPU cores."
    assert preset_sentence(quick, replace(forecast, seconds=42.0)).endswith("Does the code work? About 40 seconds.")
    absurd = preset_sentence(quick, replace(forecast, alarm="would take about 9 years on this machine"))
    assert absurd.endswith(" It would take about 9 years on this machine.")
    assert preset_sentence(quick, replace(forecast, problem="no text")).endswith("Cannot start here: no text.")


def test_a_run_is_a_short_sentence(make_run):
    known = {"id": "R", "preset": "mine"}
    run = make_run("R", description=known, state="finished", reason="early_stopped", step=1200, max_steps=2000)
    assert run_sentence(run, 0.0) == "R, Python's manual, early stopped, step 1,200 of 2,000."


def test_a_pause_is_said_to_be_saved_only_when_it_is(make_run):
    run = make_run()
    write(run, PhaseStarted("preparing_data"), RunPaused(0), RunResumed(0, 90.0), start(), PhaseStarted("paused"))
    assert lines_of(run)[:3] == [
        "Preparing the text.",
        "Paused while the text is prepared.",
        "Going on after a pause of 1 minute 30 seconds.",
    ]
    write(run, start(), PhaseStarted("training"), PhaseStarted("paused"), RunPaused(400))
    follower = RunFollower(run)
    follower.drain()
    assert spoken_state.standing(follower)[0] == "Paused at step 400, which is saved."
    write(run, start(), PhaseStarted("preparing_data"), RunPaused(0))
    follower = RunFollower(run)
    follower.drain()
    assert spoken_state.standing(follower)[0] == "Paused while the text is prepared."
