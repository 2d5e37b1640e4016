"""What cannot be exported: runs without a good checkpoint, or of another network than they say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from export_runs import NOW
from tiny_runs import write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.deploy.export.export import export_model
from tui_trainer.deploy.export.source import load_source
from tui_trainer.errors import UserError
from tui_trainer.runs.directory import RunDirectory


@pytest.fixture
def run(runs, tmp_path: Path) -> RunDirectory:
    """A copy that may be spoilt."""
    return RunDirectory(Path(shutil.copytree(runs["gpt2"].path, tmp_path / "run")))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_a_damaged_best_is_replaced_and_the_card_says_so(run: RunDirectory, tmp_path: Path) -> None:
    best = CheckpointStore(run.checkpoints).pointer("best")
    truncate(run.checkpoints / f"step-{best:08d}.safetensors")
    card = export_model(load_source(run, "best"), "safetensors", tmp_path / "out", quantize=None, now=NOW)
    assert card.step != best
    assert f"using step {card.step} instead" in card.notices[0]
    assert card.notices[0] in (tmp_path / "out" / "EXPORT.md").read_text()


def test_without_a_whole_checkpoint_nothing_is_exported(run: RunDirectory) -> None:
    for path in run.checkpoints.glob("*.safetensors"):
        truncate(path)
    with pytest.raises(UserError, match="no usable checkpoint"):
        load_source(run, "best")


def test_a_run_that_saved_nothing_is_refused(run: RunDirectory) -> None:
    shutil.rmtree(run.checkpoints)
    run.checkpoints.mkdir()
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_source(run, "last")


def test_a_configuration_of_another_network_is_refused(run: RunDirectory) -> None:
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("n_layer = 2", "n_layer = 3"))
    with pytest.raises(UserError, match=r"\[model\] does not describe the weights.*\n.* instead of "):
        load_source(run, "best")


def test_weights_that_diverged_are_refused(run: RunDirectory) -> None:
    store = CheckpointStore(run.checkpoints)
    checkpoint = store.load("last")
    checkpoint.tensors["model.wte.weight"][0, 0] = torch.nan
    store.save(99, checkpoint.tensors, checkpoint.state, {}, is_best=False, keep=1)
    with pytest.raises(UserError, match="step 99 holds NaN"):
        load_source(run, "last")


def test_int8_needs_the_text_that_the_run_learned_from(run: RunDirectory, tmp_path: Path) -> None:
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("text.txt", "gone.txt"))
    from tui_trainer.deploy.export.quantization import validation_windows

    with pytest.raises(UserError, match=r"gone\.txt: no such file.*\n.*--data PATH"):
        validation_windows(load_source(run, "best"))
    other = write_text(tmp_path, seed=9)
    with pytest.raises(UserError, match=r"text\.txt: not the text that .*run was trained on"):
        validation_windows(load_source(run, "best", (str(other),)))
    moved = Path(RunDirectory(run.path).read_config().data.paths[0]).with_name("text.txt")
    found = validation_windows(load_source(run, "best", (str(moved),)))
    assert len(found) > 0
    again = validation_windows(load_source(run, "best"))
    assert len(again) == len(found), "the tokens are cached by now, and no file is needed"
