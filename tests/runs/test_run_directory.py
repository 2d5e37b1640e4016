from __future__ import annotations

import json
import threading
from datetime import datetime

import pytest

from tui_trainer import places
from tui_trainer.config import MAX_CONFIG_BYTES, RunConfig, parse_config
from tui_trainer.errors import UserError
from tui_trainer.presets import list_presets
from tui_trainer.runs.directory import RunDirectory, create_run

NOW = datetime(2026, 11, 23, 17, 8, 6)
ID = "20261123-170806-quick-test"


def create(run_dir=None, config=None, preset="quick-test") -> RunDirectory:
    return create_run(config or RunConfig(), preset, run_dir, NOW)


def test_a_new_run_has_its_places_and_says_where_it_comes_from():
    run = create()
    assert run.path == places.runs_root() / ID
    assert sorted(path.name for path in run.path.iterdir()) == [
        "checkpoints",
        "config.toml",
        "control",
        "run.json",
        "tokenizer",
    ]
    assert (run.run_id, run.preset) == (ID, "quick-test")
    assert run.describe()["created"] == "2026-11-23T17:08:06"


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.name)
def test_the_kept_configuration_repeats_the_run(preset):
    assert create(config=preset.config).read_config() == preset.config


def test_runs_that_start_in_the_same_second_get_ids_of_their_own():
    made, barrier = [], threading.Barrier(8)

    def start():
        barrier.wait()
        made.append(create())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.path.name for run in made) == [ID, *(f"{ID}-{number}" for number in range(2, 9))]
    assert all(run.run_id == run.path.name for run in made)


def test_a_named_directory_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = create(run_dir=RunDirectory(tmp_path).path.relative_to(tmp_path) / "deep" / "here")
    assert run.path == tmp_path / "deep" / "here"
    assert run.run_id == ID


def test_an_empty_directory_is_taken_and_one_with_anything_in_it_refused(tmp_path):
    create(run_dir=tmp_path / "empty")
    other = tmp_path / "other"
    other.mkdir()
    (other / ".hidden").touch()
    for taken in (tmp_path / "empty", other):
        before = sorted(taken.rglob("*"))
        with pytest.raises(UserError, match=f"{taken}: not empty; resume it"):
            create(run_dir=taken)
        assert sorted(taken.rglob("*")) == before


@pytest.mark.parametrize("place", ["file", "below a file", "null device", "too long", "read-only"])
def test_a_place_where_nothing_can_be_written_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    path = {
        "file": tmp_path / "file",
        "below a file": tmp_path / "file" / "run",
        "null device": tmp_path.joinpath("/dev/null/run"),
        "too long": tmp_path / ("n" * 300),
        "read-only": tmp_path.joinpath("/proc/run"),
    }[place]
    with pytest.raises(UserError, match=f"{path}: no run directory here: .*; choose another --run-dir"):
        create(run_dir=path)


def test_a_configuration_too_long_to_be_read_again_is_refused_before_anything_is_made(tmp_path):
    config = parse_config({"data": {"paths": ["a" * 50] * (MAX_CONFIG_BYTES // 50)}}, "x")
    with pytest.raises(UserError, match="bytes of configuration are too many"):
        create(run_dir=tmp_path / "run", config=config)
    assert not (tmp_path / "run").exists()


def test_a_damaged_run_says_which_file_is_wrong():
    run = create()
    run.config_file.write_text("[model\n")
    with pytest.raises(UserError, match=f"{run.config_file}: not valid TOML"):
        run.read_config()
    run.config_file.unlink()
    with pytest.raises(UserError, match=f"{run.config_file}: no such file"):
        run.read_config()


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"[" * 100_000, b'{"id": null}'])
def test_a_damaged_description_leaves_the_name_of_the_folder(content):
    run = create()
    run.manifest.write_bytes(content)
    assert (run.run_id, run.preset) == (ID, "")


def test_the_figures_of_the_best_checkpoint_are_read_from_its_manifest():
    run = create()
    assert run.best_metrics() == {}
    (run.checkpoints / "best.json").write_text('{"step": 42}')
    assert run.best_metrics() == {}
    (run.checkpoints / "step-00000042.json").write_text(json.dumps({"metrics": {"val_loss": 1.5}}))
    assert run.best_metrics() == {"val_loss": 1.5}
    for damage in ('{"step": "../../x"}', '{"step": null}', "[]"):
        (run.checkpoints / "best.json").write_text(damage)
        assert run.best_metrics() == {}
