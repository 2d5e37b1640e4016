from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tui_trainer import places
from tui_trainer.config import RunConfig
from tui_trainer.errors import UserError
from tui_trainer.runs import catalogue
from tui_trainer.runs.catalogue import find_base, find_run, list_runs, model_name, name_of, note_run
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


def copy_of(run: RunDirectory, path: Path) -> RunDirectory:
    shutil.copytree(run.path, path)
    return RunDirectory(path)


def index() -> list[str]:
    return (places.state_folder() / "runs.txt").read_text().splitlines()


def test_the_directory_that_is_called_so_comes_before_its_copies(tmp_path):
    run = create()
    newer = copy_of(run, run.path.with_name(f"{run.path.name}-backup"))
    newer.manifest.write_text(json.dumps({**run.describe(), "created": "2099-01-01T00:00:00"}))
    copy_of(newer, run.path.with_name("copy of a copy"))
    elsewhere = copy_of(run, tmp_path / "archive" / run.path.name)
    note_run(elsewhere)
    assert find_run(run.path.name) == run
    assert find_run(newer.path.name) == newer
    assert find_run("copy of a copy").path.name == "copy of a copy"
    assert find_run(str(elsewhere.path)) == elsewhere
    assert {name_of(found) for found in list_runs()} == {run.run_id, newer.path.name, "copy of a copy"}
    shutil.rmtree(run.path)
    assert find_run(run.run_id) == elsewhere, "a name comes before a recorded id"


def test_an_id_that_several_runs_share_is_refused_with_their_places(tmp_path):
    run = create()
    copies = [copy_of(run, run.path.with_name(name)) for name in ("one", "two", "three")]
    shutil.rmtree(run.path)
    with pytest.raises(UserError) as error:
        find_run(run.run_id)
    lines = str(error.value).splitlines()
    assert lines[0] == f"{run.run_id}: 3 runs match; give the directory of one:"
    assert len(lines) == 3 and lines[2].endswith(" and 1 more")
    assert {lines[1], lines[2].removesuffix(" and 1 more")} <= {str(copy.path) for copy in copies}
    assert find_run("two") == copies[1]


def test_two_directories_of_one_name_are_refused(tmp_path):
    runs = [create(number, tmp_path / folder / "out") for number, folder in enumerate("ab")]
    with pytest.raises(UserError, match="out: 2 runs match") as error:
        find_run("out")
    assert all(str(run.path) in str(error.value) for run in runs)
    assert find_run(runs[0].run_id) == runs[0]


def test_an_id_that_another_begins_with_is_that_run():
    runs = [create() for _ in range(3)]
    assert [run.path.name for run in runs] == [f"20261123-170806-small{end}" for end in ("", "-2", "-3")]
    assert [find_run(run.path.name) for run in runs] == runs


def test_a_run_under_two_names_is_listed_once_by_its_own(tmp_path):
    run = create()
    for link in ("aaa", "zzz"):
        run.path.with_name(link).symlink_to(run.path.name)
    assert list_runs() == [run]
    assert find_run("zzz").path.name == "zzz"
    assert find_run(run.path.name) == run


def test_naming_the_place_of_a_run_once_is_enough(tmp_path, monkeypatch):
    run = create()
    moved = RunDirectory(tmp_path / "archive" / "p" / run.path.name)
    moved.path.parent.mkdir(parents=True)
    run.path.rename(moved.path)
    assert list_runs() == []
    monkeypatch.chdir(tmp_path / "archive")
    for _ in range(3):
        find_run(f"p/{moved.path.name}")
    monkeypatch.chdir("/")
    assert list_runs() == [moved]
    assert find_run(run.run_id) == moved
    assert index().count(str(moved.path)) == 1


def test_a_run_in_the_runs_folder_needs_no_note():
    run = create()
    before = index()
    find_run(str(copy_of(run, run.path.with_name("copy")).path))
    assert index() == before


def test_where_nothing_can_be_noted_a_run_is_used_all_the_same(tmp_path, monkeypatch):
    run = create(run_dir=tmp_path / "mine")
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert find_run(str(run.path)) == run


def test_a_long_index_is_shortened_to_the_newest_of_each(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "INDEX_LINES", 4)
    file = places.state_folder() / "runs.txt"
    file.parent.mkdir(parents=True)
    file.write_text("".join(f"/old/{name}\n" for name in "abcdbdbd"))
    run = create(run_dir=tmp_path / "mine")
    assert index() == ["/old/c", "/old/b", "/old/d", str(run.path)]


def test_processes_that_note_runs_at_once_lose_none(tmp_path):
    """Also while one of them shortens the index."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom tui_trainer.runs import catalogue\n"
        "from tui_trainer.runs.directory import RunDirectory\ncatalogue.INDEX_LINES = 130\n"
        "for number in range(40): catalogue.note_run(RunDirectory(Path(f'/{sys.argv[1]}/{number}')))"
    )
    file = places.state_folder() / "runs.txt"
    file.parent.mkdir(parents=True)
    file.write_text("/same\n" * 230)
    processes = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(line for line in index() if line != "/same") == sorted(
        f"/{name}/{number}" for name in "abc" for number in range(40)
    )
    assert index().count("/same") <= 30


def test_a_runs_folder_that_cannot_be_read_hides_no_other_run(tmp_path, monkeypatch):
    """As when the network disk it is on has gone."""
    run = create(run_dir=tmp_path / "mine")
    copy_of(run, places.runs_root() / "here")

    def fail(path):
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    monkeypatch.setattr(os, "listdir", fail)
    monkeypatch.setattr(os, "scandir", fail)
    assert list_runs() == [run]


def test_many_runs_are_listed_with_one_look_into_each(monkeypatch):
    runs = [create(number) for number in range(30)]
    reads = []
    describe = RunDirectory.describe
    monkeypatch.setattr(RunDirectory, "describe", lambda run: reads.append(run) or describe(run))
    assert len(list_runs()) == len(reads) == 30
    assert find_run(runs[7].path.name) == runs[7]
    assert len(reads) == 30, "a name in the runs folder needs no list"
    with pytest.raises(UserError):
        find_run("nowhere")
    assert len(reads) <= 90
