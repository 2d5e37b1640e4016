from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime

import pytest

from tui_trainer import estimates, places
from tui_trainer.config import parse_config
from tui_trainer.data.corpus import open_corpus
from tui_trainer.event_codec import encode
from tui_trainer.events import PhaseStarted, Record, RunStarted
from tui_trainer.monitor.forecast import (
    FoundText,
    find_text,
    forecast_figures,
    make_forecast,
    make_forecasts,
    remember_past_runs,
)
from tui_trainer.presets import apply_overrides, change_presets, list_presets, load_preset
from tui_trainer.runs.catalogue import list_runs
from tui_trainer.runs.directory import create_run
from tui_trainer.runs.status import Status

QUICK, SHAKESPEARE = load_preset("quick-test"), load_preset("shakespeare-char")


def forecast_of(preset, past_runs=()):
    return make_forecast(preset, past_runs, find_text(preset.config.data))


def past_run(preset: str, step: int, elapsed: float, minute: int = 0, config=QUICK.config) -> None:
    run = create_run(config, preset, None, datetime(2026, 11, 23, 17, minute))
    run.status_file.write_text(json.dumps(Status(step=step, elapsed_seconds=elapsed).__dict__))


def test_the_embedded_text_gives_every_figure_but_the_time():
    forecast = forecast_of(QUICK)
    figures = forecast_figures(QUICK, forecast)
    assert forecast.problem is None
    assert figures["time"] == "–"
    for name in ("parameters", "tokens", "steps", "memory"):
        assert figures[name].startswith("~"), name
    assert figures["context"] == "64"


def test_tokens_and_steps_are_near_those_of_the_recorded_run():
    smaller = replace(QUICK, config=apply_overrides(QUICK.config, ["data.vocab_size=1024"]))
    forecast = forecast_of(smaller)
    assert forecast.tokens == pytest.approx(159_100, rel=0.1)
    assert forecast.steps == pytest.approx(2244, rel=0.1)


def test_what_is_certain_is_not_marked(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("To be, or not to be. " * 500)
    for tokenizer, mark in (("gpt2", ""), ("bytes", ""), ("char", "~")):
        config = apply_overrides(SHAKESPEARE.config, [f"data.tokenizer={tokenizer}", f"data.paths=['{text}']"])
        preset = replace(SHAKESPEARE, config=config)
        figures = forecast_figures(preset, forecast_of(preset))
        assert figures["parameters"].startswith("~") == bool(mark)
        assert figures["steps"] == "2,000"
        assert figures["data"] == "text.txt"


def test_missing_text_is_a_problem_and_the_rest_still_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forecast = forecast_of(SHAKESPEARE)
    assert "tinyshakespeare.txt" in forecast.problem
    figures = forecast_figures(SHAKESPEARE, forecast)
    assert (figures["tokens"], figures["steps"], figures["data"]) == ("–", "2,000", "tinyshakespeare.txt")


def test_hostile_names_of_data_are_shown_not_obeyed(tmp_path):
    path = tmp_path / "a\x1b]0;x\x07.txt"
    preset = replace(QUICK, config=parse_config({"data": {"paths": [str(path)]}}, "x"))
    assert forecast_figures(preset, forecast_of(preset))["data"].isprintable()
    path.write_text("text " * 1000)
    assert forecast_figures(preset, forecast_of(preset))["data"].isprintable()


def test_a_preset_that_cannot_take_a_change_keeps_its_problem():
    assert forecast_of(replace(QUICK, problem="n_head = 3 does not divide")).problem.startswith("n_head")


def test_the_time_comes_from_the_last_run_of_the_same_preset():
    past_run("quick-test", 100, 50.0, minute=1)
    past_run("quick-test", 100, 20.0, minute=2)
    past_run("small", 100, 1.0, minute=3)
    forecast = forecast_of(QUICK, remember_past_runs(list_runs()))
    assert forecast.seconds == pytest.approx(0.2 * forecast.steps)
    assert forecast_figures(QUICK, forecast)["time"].startswith("~")


def test_one_run_beside_another_program_does_not_make_the_next_seem_slow():
    for minute, elapsed in enumerate((20.0, 22.0, 21.0, 400.0), 1):
        past_run("quick-test", 100, elapsed, minute=minute)
    assert forecast_of(QUICK, remember_past_runs(list_runs())).seconds == pytest.approx(0.21 * forecast_of(QUICK).steps)
    past_run("small", 100, 400.0, minute=8)
    wider = QUICK.changed(["model.n_embd=256"], [])
    by_one = forecast_of(wider, remember_past_runs(list_runs())[1:2]).seconds
    assert forecast_of(wider, remember_past_runs(list_runs())).seconds < by_one / 10


@pytest.mark.parametrize("tokenizer", ["bpe", "gpt2"])
def test_else_from_the_speed_of_the_last_run_of_any(tokenizer):
    config = apply_overrides(QUICK.config, [f"data.tokenizer={tokenizer}", "data.vocab_size=300"])
    past_run("mine", 100, 10.0, config=config)
    vocab = 50_257 if tokenizer == "gpt2" else 300
    done = 100 * config.tokens_per_step * estimates.flop_per_token(config.model, vocab)
    forecast = forecast_of(QUICK, remember_past_runs(list_runs()))
    todo = (
        forecast.steps
        * QUICK.config.tokens_per_step
        * estimates.flop_per_token(QUICK.config.model, QUICK.config.data.vocab_size)
    )
    assert forecast.seconds == pytest.approx(todo / done * 10.0)


def test_runs_that_tell_nothing_are_not_asked():
    past_run("quick-test", 19, 5.0)
    past_run("quick-test", 100, 0.0, minute=1)
    create_run(QUICK.config, "quick-test", None, datetime(2026, 11, 23))
    damaged = create_run(QUICK.config, "quick-test", None, datetime(2026, 11, 24))
    damaged.status_file.write_text(json.dumps(Status(step=100, elapsed_seconds=9.0).__dict__))
    damaged.config_file.write_text("[")
    assert remember_past_runs(list_runs()) == []
    past_run("quick-test", 100, 25.0, minute=9)
    (known,) = remember_past_runs(list_runs())
    assert (known.preset, known.config, known.seconds_per_step) == ("quick-test", QUICK.config, 0.25)
    assert known.flop_per_second > 0


def test_runs_of_another_machine_or_shape_do_not_tell_the_time_of_a_preset():
    past_run("quick-test", 100, 25.0)
    (run,) = places.runs_root().iterdir()
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"host": "elsewhere"}))
    assert remember_past_runs(list_runs()) == []
    (run / "status.json").write_text(json.dumps(status))
    same, wider = (
        forecast_of(preset, remember_past_runs(list_runs()))
        for preset in (QUICK, QUICK.changed(["model.n_embd=256"], []))
    )
    assert same.seconds == pytest.approx(0.25 * same.steps)
    assert wider.seconds > same.seconds


def test_epochs_are_passes_over_the_text_that_is_learned_from(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("x" * 10_000)
    config = apply_overrides(SHAKESPEARE.config, ["data.tokenizer=bytes", f"data.paths=['{text}']", "data.stride=50"])
    config = apply_overrides(config, ["data.val_fraction=0.1", "training.max_steps=200", "training.batch_size=4"])
    forecast = forecast_of(replace(SHAKESPEARE, config=config))
    assert (forecast.train_tokens, forecast.epochs) == (9000, 200 * 4 * 50 / 9000)


def test_epochs_that_were_asked_for_are_about_those_of_the_forecast():
    forecast = forecast_of(QUICK)
    assert forecast.epochs == pytest.approx(QUICK.config.training.epochs, rel=0.02)


def test_without_its_text_nothing_is_known_of_epochs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forecast = forecast_of(SHAKESPEARE)
    assert (forecast.train_tokens, forecast.epochs) == (None, None)


def test_presets_share_what_was_found_of_a_text(monkeypatch, tmp_path):
    """However many files there are: a walk through a large folder takes seconds."""
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("text " * 1000)
    presets = change_presets(list_presets(), [], [str(tmp_path)])
    walked = []
    monkeypatch.setattr(os, "walk", lambda *given, walk=os.walk, **more: walked.append(given) or walk(*given, **more))
    assert {forecast.data_name for forecast in make_forecasts(presets)} == {f"{tmp_path.name} (3 files)"}
    assert len(walked) == 1


def test_until_the_text_is_found_the_rest_is_known():
    preset = QUICK.changed([], ["no such file.txt"])
    figures = forecast_figures(preset, make_forecast(preset, [], None))
    assert figures["data"] == "looking through no such file.txt …"
    assert (figures["tokens"], figures["steps"], figures["time"]) == ("–", "–", "–")
    assert figures["memory"].startswith("~")


def test_a_text_that_goes_while_it_is_looked_at_is_a_problem_and_no_crash(monkeypatch, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("text")
    monkeypatch.setattr("tui_trainer.monitor.forecast.open_corpus", lambda data: _gone(path, data))
    found = find_text(QUICK.changed([], [str(path)]).config.data)
    assert found == FoundText(str(path), None, found.problem) and "text.txt" in found.problem


def test_a_current_folder_that_is_gone_is_a_problem_and_no_crash(monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    found = find_text(QUICK.changed([], ["text.txt"]).config.data)
    assert found.problem == "text.txt: cannot be looked for: No such file or directory"


def _gone(path, data):
    corpus = open_corpus(data)
    path.unlink()
    return corpus


def counted(preset, train: int, val: int, data: str = "", minute: int = 30) -> None:
    """A run whose log tells how many tokens its text had."""
    run = create_run(preset.config, preset.name, None, datetime(2026, 11, 23, 17, minute))
    run.status_file.write_text(json.dumps(Status(step=100, elapsed_seconds=9.0).__dict__))
    signature = open_corpus(preset.config.data).signature()
    run.manifest.write_text(json.dumps(run.describe() | {"data_seen": signature}))
    started = RunStarted(run.run_id, 1, 1, 1, 1.0, train, val, 1, 1, 1, "cpu", "fp32")
    run.event_log.write_bytes(encode(Record(0.0, 0, PhaseStarted("preparing_data"))) + encode(Record(0.0, 0, started)))


def test_tokens_and_steps_are_those_that_an_earlier_run_on_the_same_text_counted(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("To be, or not to be. " * 500)
    own = QUICK.changed([], [str(text)])
    counted(own, 1064, 100)
    figures = forecast_figures(own, forecast_of(own, remember_past_runs(list_runs())))
    assert figures["tokens"] == "1.16 k"
    assert figures["steps"] == f"{2 * (1000 // 32 + 1) // 4}", "two passes over the windows, four a step"
    assert forecast_figures(QUICK, forecast_of(QUICK, remember_past_runs(list_runs())))["tokens"].startswith("~")
    larger = own.changed(["data.vocab_size=4096"], [])
    by_ratio, guess = forecast_of(larger, remember_past_runs(list_runs())), forecast_of(larger)
    assert by_ratio.tokens < 1164 < guess.tokens
    text.write_text("To be, or not to be. " * 501)
    assert forecast_of(own, remember_past_runs(list_runs())).tokens == forecast_of(own).tokens


def test_the_time_comes_from_runs_of_about_as_much_work_a_step():
    large = QUICK.changed(["model.n_embd=512", "training.batch_size=32"], [])
    past_run("mine", 100, 100.0, config=large.config)
    for minute in range(1, 7):
        past_run("other", 100, 1.0, minute=minute, config=QUICK.changed(["model.n_embd=32"], []).config)
    near = QUICK.changed(["model.n_embd=512", "training.batch_size=30"], [])
    forecast = forecast_of(near, remember_past_runs(list_runs()))
    assert forecast.seconds < 2.0 * forecast.steps, "not from the six that were mostly overhead"


def test_more_memory_than_is_free_and_more_than_a_month_are_an_alarm():
    past_run("mine", 100, 1e6)
    found, runs = find_text(QUICK.config.data), remember_past_runs(list_runs())
    forecast = make_forecast(QUICK, runs, found, 100_000_000)
    assert "of memory, of which 100 MB are free" in forecast.alarm and "on this machine" in forecast.alarm
    assert make_forecast(QUICK, [], found, 10**12).alarm is None
    assert make_forecast(QUICK, [], found).alarm is None
    fits = make_forecast(QUICK.changed(["training.batch_size=100000"], []), [], found, 10**9)
    assert fits.memory_bytes > 10**9 and fits.alarm is None, "as many rows at once as fit"


def test_windows_line_ends_and_wide_characters_are_found(tmp_path):
    (tmp_path / "text.txt").write_bytes("바다\r\n".encode() * 100)
    found = find_text(QUICK.changed([], [str(tmp_path / "text.txt")]).config.data)
    assert "CRLF" in found.remark and found.bytes_per_character == 2.0
