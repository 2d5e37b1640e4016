from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import replace

from rich.cells import cell_len

from tui_trainer.config import RunConfig, to_toml
from tui_trainer.console.tables import presets_table, runs_table
from tui_trainer.monitor.forecast import make_forecasts
from tui_trainer.monitor.run_list import describe_run
from tui_trainer.presets import ORDER, list_presets, load_preset
from tui_trainer.runs.status import boot_id

HOSTILE = "a\x1b]0;x\x07\x9b31m\u202e\nb"


def table_of(*presets) -> list[str]:
    return presets_table(presets, make_forecasts(presets)).split("\n")


def test_every_preset_has_its_line_in_the_order_of_the_picker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head, *lines = table_of(*list_presets())
    assert head.split() == ["preset", "parameters", "tokens", "steps", "context", "memory", "time"]
    assert [line.split()[0] for line in lines[: len(ORDER)]] == list(ORDER)
    assert "~" in lines[0]


def test_what_each_preset_is_for_stands_below_in_the_same_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = table_of(*list_presets())
    notes = lines[lines.index("") + 1 :]
    assert [line.split()[0] for line in notes if not line.startswith(" ")] == list(ORDER)
    text = " ".join(" ".join(notes).split())
    assert all(preset.purpose in text for preset in list_presets())


def test_the_presets_fit_a_terminal_of_eighty_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    presets = list_presets()
    forecasts = [replace(forecast, seconds=1e12) for forecast in make_forecasts(presets)]
    assert max(map(cell_len, presets_table(presets, forecasts).split("\n"))) <= 80


def test_a_hostile_preset_file_is_shown_not_obeyed(tmp_path):
    path = tmp_path / "x\x1b[2J.toml"
    path.write_text("# does \x9b31m \u202eevil\n# soon\n")  # TOML itself refuses ESC and BEL
    assert all(line.isprintable() for line in table_of(load_preset(str(path))))


def test_runs_are_shown_with_their_state_and_best(make_run):
    here = {"host": socket.gethostname(), "boot_id": boot_id()}
    best = make_run("done", state="finished", step=2244, max_steps=2244)
    (best.checkpoints / "best.json").write_text('{"step": 7}')
    (best.checkpoints / "step-00000007.json").write_text(json.dumps({"metrics": {"val_loss": 4.0114}}))
    runs = [
        best,
        make_run("broken", state="failed", step=3, max_steps=10),
        make_run("live", state="running", step=1, heartbeat=time.time() + 60, pid=os.getpid(), **here),
        make_run("killed", state="running", step=1, heartbeat=time.time() + 60, pid=2**22 + 1, **here),
        make_run("silent", state="running", step=1, host="elsewhere"),
        make_run("bare"),
    ]
    head, *lines = runs_table(runs).split("\n")
    assert head.split() == ["run", "when", "preset", "data", "changed", "state", "step", "best", "val", "where"]
    by_name = {line.split()[0]: line for line in lines}
    assert list(by_name)[:2] == ["live", "silent"], "who may be training stands on top"
    words = ["finished", "failed", "training", "interrupted", "stale", "unknown"]
    for run, word in zip(runs, words, strict=True):
        assert f"  {word}  " in by_name[run.path.name]
    assert by_name["done"].split()[-3:] == ["2,244/2,244", "4.011", str(best.path)]
    assert by_name["bare"].split()[-3:-1] == ["–", "–"]
    runs = [next(run for run in runs if run.path.name == name) for name in by_name]
    assert len({line.index(str(run.path)) for line, run in zip(lines, runs, strict=True)}) == 1


def test_a_hostile_run_is_shown_not_obeyed(make_run):
    run = make_run("x\x1b[2J", description={"id": HOSTILE, "preset": HOSTILE}, state=HOSTILE, step=1)
    ended = make_run("y", description={"id": "y", "preset": "p"}, state="finished", step=1)
    (ended.checkpoints / "best.json").write_text('{"step": 7}')
    (ended.checkpoints / "step-00000007.json").write_text('{"metrics": {"val_loss": "low"}}')
    lines = runs_table([run, ended]).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_how_a_run_ended_is_shown_not_obeyed(make_run):
    lines = runs_table([make_run("x", state="finished", reason=HOSTILE, step=1), make_run("y")]).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_runs_are_told_apart_by_time_data_and_what_differs_from_the_preset(make_run, tmp_path):
    (tmp_path / "story.txt").write_text("x")
    quick = load_preset("quick-test")
    plain = make_run("plain", state="finished", step=1, max_steps=1000)
    other = make_run("other", state="finished", step=1, max_steps=1000)
    started = settled(quick.config, 50)
    plain.config_file.write_text(to_toml(started))
    known = {"id": "other", "preset": "quick-test", "created": "2026-11-23T17:08:06+01:00", "data": "story.txt"}
    other.manifest.write_text(json.dumps(known))
    changes = ["model.dropout=0.2", "training.learning_rate=3e-4", "model.n_embd=64", "training.optimizer=muon"]
    own = quick.changed(changes, [str(tmp_path / "story.txt")]).config
    other.config_file.write_text(to_toml(settled(own, 50)))
    row, bare = describe_run(other, 0.0), describe_run(plain, 0.0)
    assert (row.when, row.data) == ("Nov 23 17:08", "story.txt")
    assert row.changed == "dropout 0.2, lr 3e-4, width 64, optimizer muon"
    assert (bare.when, bare.data, bare.changed) == ("–", "Python's manual", "")
    plain.config_file.write_text(to_toml(settled(quick.config, 7)))
    assert describe_run(plain, 0.0).changed == "warm-up 7", "a tenth of the run's own is not what the preset would do"
    plain.config_file.write_text("[")
    assert describe_run(plain, 0.0).changed == ""


def test_of_a_run_from_a_base_the_shape_is_no_change(make_run):
    run = make_run(
        "tuned", description={"id": "tuned", "preset": "finetune", "base": {"name": "gpt2"}}, state="finished", step=1
    )
    tuned = load_preset("finetune").changed(["model.dropout=0.3"], ["a.txt"], "gpt2").config
    shaped = tuned.model_copy(update={"model": tuned.model.model_copy(update={"n_embd": 768})})
    run.config_file.write_text(to_toml(shaped))
    assert describe_run(run, 0.0).changed == "from gpt2, dropout 0.3"


def settled(config: RunConfig, warmup: int) -> RunConfig:
    """As a run writes it down: with its warm-up spelled out."""
    return config.model_copy(update={"training": config.training.model_copy(update={"warmup_steps": warmup})})


def test_a_narrow_terminal_drops_the_least_important_columns_first(make_run):
    runs = [make_run(f"run-{number}", state="finished", step=1, max_steps=9) for number in range(2)]
    for width, missing in ((200, set()), (80, {"where"}), (50, {"where", "when", "preset"})):
        head, *lines = runs_table(runs, width).split("\n")
        assert not missing & set(head.split()) and {"run", "state"} <= set(head.split())
        assert max(map(cell_len, [head, *lines])) <= width
