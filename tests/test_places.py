from __future__ import annotations

import os
import stat
import tempfile
from datetime import datetime
from pathlib import Path
from unittest.mock import Mock

import pytest

from tui_trainer import places
from tui_trainer.config import RunConfig
from tui_trainer.runs.catalogue import list_runs, note_run
from tui_trainer.runs.directory import create_run


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


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where everybody may write, for a user without a home."""
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable)
    monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"tui-trainer-{os.getuid()}"


def test_without_any_home_there_is_still_a_place_of_ones_own(temporary):
    for _ in range(2):
        assert places.state_folder() == temporary / ".local/state/tui-trainer"
        assert places.cache_folder() == temporary / ".cache/tui-trainer"
    assert stat.S_IMODE(temporary.stat().st_mode) == 0o700


def plant_link(path: Path) -> None:
    (path.parent / "planted").mkdir()
    path.symlink_to("planted")


def plant_folder(path: Path) -> None:
    """Of this user, but anyone may put a tokenizer there."""
    path.mkdir()
    path.chmod(0o777)


@pytest.mark.parametrize("plant", [plant_link, plant_folder, Path.touch])
def test_a_place_that_others_may_have_filled_is_done_without(temporary, plant):
    plant(temporary)
    assert places.cache_folder().is_relative_to(os.devnull)
    run = create_run(RunConfig(), "small", None, datetime(2026, 11, 23))
    note_run(run)
    assert list_runs() == [run]


def test_a_place_of_somebody_else_is_done_without(temporary, monkeypatch):
    temporary.mkdir(mode=0o700)
    other = os.getuid() + 1
    temporary.rename(temporary.with_name(f"tui-trainer-{other}"))
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert places.cache_folder().is_relative_to(os.devnull)
