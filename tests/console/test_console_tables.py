from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import replace

from rich.cells import cell_len

from tui_trainer.console.tables import presets_table, runs_table
from tui_trainer.monitor.forecast import make_forecasts
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
    assert head.split() == ["run", "preset", "state", "step", "best", "val", "where"]
    assert [line.split()[2] for line in lines] == ["finished", "failed", "training", "interrupted", "stale", "unknown"]
    assert lines[0].split()[3:] == ["2,244/2,244", "4.011", str(best.path)]
    assert lines[-1].split()[3:5] == ["–", "–"]
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
