from __future__ import annotations

from pathlib import Path

import pytest

from tui_trainer import places


def test_the_runs_are_where_the_variable_says_else_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUI_TRAINER_RUNS", "somewhere")
    assert places.runs_root() == tmp_path / "somewhere"
    for nothing in ("", None):
        monkeypatch.setenv("TUI_TRAINER_RUNS", nothing) if nothing == "" else monkeypatch.delenv("TUI_TRAINER_RUNS")
        assert places.runs_root() == tmp_path / "runs"


@pytest.mark.parametrize(
    ("folder", "variable", "default"),
    [
        (places.state_folder, "XDG_STATE_HOME", ".local/state/tui-trainer"),
        (places.cache_folder, "XDG_CACHE_HOME", ".cache/tui-trainer"),
    ],
)
def test_user_folders_follow_the_xdg_rules(tmp_path, monkeypatch, folder, variable, default):
    monkeypatch.setenv(variable, str(tmp_path))
    assert folder() == tmp_path / "tui-trainer"
    for ignored in ("relative", ""):
        monkeypatch.setenv(variable, ignored)
        assert folder() == Path.home() / default


def test_without_any_home_there_is_still_a_place_of_ones_own(monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 987_654)
    assert places.state_folder() == Path("/tmp/tui-trainer-987654/.local/state/tui-trainer")
