from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tui_trainer import places
from tui_trainer.config import RunConfig
from tui_trainer.errors import UserError
from tui_trainer.runs.catalogue import find_base, find_run, list_runs, model_name, note_run
from tui_trainer.runs.directory import RunDirectory, create_run

NOW = datetime(2026, 11, 23, 17, 8, 6)


def create(minutes: int = 0, run_dir: Path | None = None, preset: str = "small") -> RunDirectory:
    run = create_run(RunConfig(), preset, run_dir, NOW + timedelta(minutes=minutes))
    note_run(run)
    return run


def test_runs_are_listed_newest_first_and_each_once(tmp_path):
    old, new, elsewhere = create(1), create(5), create(3, tmp_path / "mine")
    note_run(old)
    assert list_runs() == [new, elsewhere, old]


def test_a_run_is_found_from_any_folder_by_id_name_or_directory(tmp_path, monkeypatch):
    run = create(run_dir=tmp_path / "mine")
    monkeypatch.setenv("TUI_TRAINER_RUNS", str(tmp_path / "other"))
    monkeypatch.chdir("/")
    assert find_run("20261123-170806-small") == run
    assert find_run("mine") == run
    assert find_run(str(run.path)) == run
    monkeypatch.chdir(tmp_path)
    assert find_run("mine").path == tmp_path / "mine"
    assert find_run("./mine").path == tmp_path / "mine"
    monkeypatch.chdir(run.path)
    assert find_run(".").path == run.path


@pytest.mark.parametrize("name", ["한 글.run", "line\nbreak", "sep\u2028arator", "caf\udce9"])
def test_a_run_with_an_odd_path_is_found(tmp_path, monkeypatch, name):
    run = create(run_dir=tmp_path / name)
    monkeypatch.setenv("TUI_TRAINER_RUNS", str(tmp_path / "other"))
    assert find_run(str(run.path)) == run
    assert (run in list_runs()) == ("\n" not in name)


def test_an_unknown_run_is_refused_with_the_nearest_name():
    create()
    with pytest.raises(
        UserError, match=r'20261123-170806-smal: no such run \(did you mean "20261123-170806-small"\?\)'
    ):
        find_run("20261123-170806-smal")


@pytest.mark.parametrize("name", ["", "zzz", "n" * 400, "a\0b", "/dev/null", "../.."])
def test_nonsense_is_refused_plainly(tmp_path, monkeypatch, name):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    with pytest.raises(UserError, match=r"no such run|not a run"):
        find_run(name)


def test_a_folder_that_is_no_run_is_told_apart(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: a folder, but not a run: it has no run.json"):
        find_run(str(tmp_path))


def test_what_is_gone_or_cannot_be_looked_at_hides_nothing_else(tmp_path):
    run = create()
    with (places.state_folder() / "runs.txt").open("a") as index:
        index.write(f"{tmp_path / 'gone'}\n\n/{'n' * 400}\n/dev/null\n")
    assert list_runs() == [run]


def test_a_state_folder_that_cannot_be_written_costs_only_the_index(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    run = create()
    assert list_runs() == [run]


def test_no_runs_at_all():
    assert list_runs() == []


def test_damaged_descriptions_are_listed_too():
    run = create()
    run.manifest.write_text("{")
    assert list_runs() == [run]
    assert find_run(run.path.name) == run


def test_a_base_is_a_run_or_a_folder_with_a_model(tmp_path, monkeypatch):
    run, model = create(run_dir=tmp_path / "mine"), tmp_path / "model"
    model.mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_base("mine") == find_base("20261123-170806-small") == run.path
    with pytest.raises(UserError, match=r"neither a run nor a model: it has no run\.json and no config\.json"):
        find_base("model")
    (model / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"an adapter \(LoRA\) without its model"):
        find_base("model")
    (model / "config.json").write_text("{}")
    assert find_base("model") == find_base("./model") == find_base(str(model)) == model
    with pytest.raises(UserError, match="a file; name the folder it is in"):
        find_base("model/config.json")
    for name in ("nowhere", "n" * 400, "a\0b", ""):
        with pytest.raises(UserError):
            find_base(name)


def cache_entry(folder, *commits):
    """As huggingface_hub lays one out: the files of a snapshot are links into blobs."""
    entry = folder / "models--openai-community--gpt2"
    for place in (entry / "blobs", entry / "refs", entry / "snapshots"):
        place.mkdir(parents=True)
    (entry / "blobs" / "c0").write_text("{}")
    for commit in commits:
        (entry / "snapshots" / commit).mkdir()
        (entry / "snapshots" / commit / "config.json").symlink_to("../../blobs/c0")
    return entry


def test_an_entry_of_the_hub_cache_is_its_snapshot(tmp_path):
    entry = cache_entry(tmp_path, "607a30d7", "11c5a3d5")
    snapshots = entry / "snapshots"
    (entry / "refs" / "main").write_text("11c5a3d5\n")
    for name in (entry, snapshots, snapshots / "11c5a3d5"):
        assert find_base(str(name)) == snapshots / "11c5a3d5"
    assert model_name(find_base(str(entry))) == "openai-community/gpt2"
    assert model_name(entry) == entry.name
    assert find_base(str(snapshots / "607a30d7")) == snapshots / "607a30d7"
    (entry / "refs" / "main").write_text("unknown")
    with pytest.raises(UserError, match=r"2 snapshots.*\n.*/snapshots: 11c5a3d5, 607a30d7"):
        find_base(str(entry))
    (snapshots / "607a30d7" / "config.json").unlink()
    assert find_base(str(entry)) == snapshots / "11c5a3d5"
    (snapshots / "11c5a3d5" / "config.json").unlink()
    with pytest.raises(UserError, match=r"no snapshot of it holds a config\.json"):
        find_base(str(entry))
