"""Which text a resumed run trains on: the tokens it has, wherever the files are now."""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import changed, events, hold, sha_of, tensors_of, tiny_config, train, trained, write_text

from tui_trainer import places
from tui_trainer.config import RunConfig, parse_config
from tui_trainer.data.corpus import Corpus
from tui_trainer.events import AdviceRaised, EvaluationCompleted, RunStarted, SampleGenerated
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.launch import ResumedRun, TrainingHandle


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return tiny_config(write_text(tmp_path))


@pytest.fixture
def run(config: RunConfig, tmp_path: Path) -> RunDirectory:
    """A run of 20 steps that is complete."""
    return trained(config, tmp_path / "run")


def resume(run: RunDirectory, steps: int = 30, **changes: Any) -> TrainingHandle:
    return train(ResumedRun(run, changed(run.read_config(), max_steps=steps), "cpu", **changes))


def said_of_the_text(run: RunDirectory) -> list[AdviceRaised]:
    return [event for event in events(run, AdviceRaised) if event.rule == "data"]


def clear_cache() -> None:
    shutil.rmtree(places.cache_folder())


def rewrite(config: RunConfig, seed: int = 7) -> None:
    Path(config.data.paths[0]).write_text("".join(random.Random(seed).choices("abcdefgh .\n", k=4000)))


def test_a_run_that_has_its_tokens_reads_no_text(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        pytest.fail("the text was read")

    monkeypatch.setattr(Corpus, "chunks", refuse)
    assert resume(run).exit_code == 0
    assert said_of_the_text(run) == []


def test_a_new_run_takes_its_prompts_from_its_text_and_keeps_them(config: RunConfig, tmp_path: Path) -> None:
    Path(config.data.paths[0]).write_bytes(b"The king slept at home.\r\nShe walked to the sea.\r\n" * 200)
    undecided = parse_config(config.model_dump(exclude_unset=True, exclude={"sampling"}), "test")
    run = trained(undecided, tmp_path / "run")
    prompts = run.read_config().sampling.prompts
    assert set(prompts) <= {"The king slept", "She walked to"} and prompts
    assert {event.prompt for event in events(run, SampleGenerated)} == set(prompts)
    assert [event.rule for event in events(run, AdviceRaised)].count("line_ends") == 1
    resume(run)
    assert run.read_config().sampling.prompts == prompts
    assert [event.rule for event in events(run, AdviceRaised)].count("line_ends") == 1
    assert trained(config, tmp_path / "other").read_config().sampling.prompts == config.sampling.prompts


def test_a_changed_text_is_reported_once_and_changes_nothing(config: RunConfig, run: RunDirectory) -> None:
    twin = RunDirectory(run.path.with_name("twin"))
    shutil.copytree(run.path, twin.path)
    assert resume(twin).exit_code == 0
    rewrite(config)
    for steps in (25, 30):
        assert resume(run, steps).exit_code == 0
    (notice,) = said_of_the_text(run)
    assert "text.txt" in notice.evidence and "--allow-changed-data" in notice.remedy
    assert json.loads(run.manifest.read_bytes())["data"] == "text.txt"
    assert events(run, EvaluationCompleted)[-1].val_loss != events(run, EvaluationCompleted)[0].val_loss


def test_a_text_that_is_gone_and_comes_back_is_reported_when_it_goes(config: RunConfig, run: RunDirectory) -> None:
    text = Path(config.data.paths[0])
    text.rename(text.with_name("moved.txt"))
    assert resume(run, 25).exit_code == 0
    (notice,) = said_of_the_text(run)
    assert f"{text}: no such file" in notice.evidence and "--data PATH" in notice.remedy
    text.with_name("moved.txt").rename(text)
    assert resume(run, 30).exit_code == 0
    assert said_of_the_text(run) == [notice], "it is what it was"


def test_without_its_tokens_a_changed_text_is_refused_unless_allowed(config: RunConfig, run: RunDirectory) -> None:
    rewrite(config)
    clear_cache()
    before = sha_of(tensors_of(run))
    handle = resume(run)
    lines = str(handle.failure).splitlines()
    assert handle.exit_code == 2 and len(lines) == 3
    assert "text.txt: the text is not the one" in lines[0] and "--allow-changed-data" in lines[2]
    assert sha_of(tensors_of(run)) == before
    handle = resume(run, allow_changed_data=True)
    assert (handle.exit_code, handle.failure) == (0, None)
    again = [event for event in events(run, EvaluationCompleted) if event.step == 20]
    assert len(again) == 2 and again[1].is_best, "measured at once on the new text, where the best is sought anew"
    assert resume(run, 35).exit_code == 0, "the new text is now the run's"


def test_allowing_another_text_reads_it_although_the_tokens_are_there(config: RunConfig, run: RunDirectory) -> None:
    rewrite(config)
    assert resume(run, allow_changed_data=True).exit_code == 0
    (notice,) = said_of_the_text(run)
    assert "not the one that this run was trained on" in notice.evidence


def test_allowing_another_text_that_is_the_same_changes_nothing(config: RunConfig, run: RunDirectory) -> None:
    best = events(run, EvaluationCompleted)[-1].val_loss
    assert resume(run, allow_changed_data=True).exit_code == 0
    assert said_of_the_text(run) == []
    assert best is not None


def test_a_moved_text_is_named_and_known_by_what_it_is(config: RunConfig, run: RunDirectory, tmp_path: Path) -> None:
    clear_cache()
    (tmp_path / "q").mkdir()
    moved = Path(config.data.paths[0]).rename(tmp_path / "q" / "other name.txt")
    handle = resume(run)
    lines = str(handle.failure).splitlines()
    assert handle.exit_code == 2 and len(lines) == 2
    assert lines[0] == f"{config.data.paths[0]}: no such file or folder" and "--data PATH" in lines[1]
    wrong = write_text(tmp_path / "q", seed=5)
    handle = resume(run, data=(str(wrong),))
    assert handle.exit_code == 2 and "text.txt: the text is not the one" in str(handle.failure)
    os.chdir(tmp_path)
    handle = resume(run, data=("q/other name.txt",))
    assert (handle.exit_code, handle.failure) == (0, None)
    assert run.read_config().data.paths == (str(moved),), "absolute, so that it means the same from any folder"
    clear_cache()
    assert resume(run, 35).exit_code == 0, "it is found there from now on"


def test_a_named_text_is_compared_although_the_tokens_are_there(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "q").mkdir()
    handle = resume(run, data=(str(write_text(tmp_path / "q", seed=5)),))
    assert handle.exit_code == 2 and "text.txt: the text is not the one" in str(handle.failure)


def test_where_the_cache_cannot_be_written_the_run_keeps_its_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    config = tiny_config(write_text(tmp_path))
    run = trained(config, tmp_path / "run")
    Path(config.data.paths[0]).unlink()
    assert resume(run).exit_code == 0


def test_a_run_of_an_earlier_version_is_found_by_its_fingerprints(config: RunConfig, run: RunDirectory) -> None:
    known = json.loads(run.manifest.read_bytes())
    run.manifest.write_text(json.dumps({key: known[key] for key in known if key not in ("tokens", "data_seen")}))
    Path(config.data.paths[0]).unlink()
    assert resume(run).exit_code == 0


def test_an_earlier_version_s_run_whose_text_is_gone_is_told_so_once(config: RunConfig, run: RunDirectory) -> None:
    known = json.loads(run.manifest.read_bytes())
    run.manifest.write_text(json.dumps({key: known[key] for key in known if key != "data_seen"}))
    text = Path(config.data.paths[0])
    text.rename(text.with_name("moved.txt"))
    assert resume(run, 25).exit_code == 0
    (notice,) = said_of_the_text(run)
    assert "no such file" in notice.evidence
    text.with_name("moved.txt").rename(text)
    assert resume(run, 30).exit_code == 0
    assert said_of_the_text(run) == [notice]


def test_another_version_of_the_cache_reads_the_same_text_again(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_trainer.data.token_cache.FORMAT_VERSION", 99)
    clear_cache()
    handle = resume(run)
    assert (handle.exit_code, handle.failure) == (0, None)


def test_a_kill_before_the_new_text_is_written_down_does_not_bring_the_old_one_back(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*arguments: Any, **settled: Any) -> None:
        raise Killed

    rewrite(config)
    with monkeypatch.context() as patch:
        patch.setattr("tui_trainer.training.text.Text.remember", die)
        with pytest.raises(Killed):
            hold(ResumedRun(run, changed(run.read_config(), max_steps=30), "cpu", allow_changed_data=True))
    assert resume(run).exit_code == 0
    sizes = [event.train_tokens for event in events(run, RunStarted)]
    assert sizes == [2700, 3600, 3600], "the checkpoint was made for the new text"


def test_another_tokenizer_is_refused_and_accepted_when_allowed(tmp_path: Path) -> None:
    """As many tokens, but others: without the check the weights would take one word for another."""
    bpe = {"tokenizer": "bpe", "vocab_size": 280}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    other = trained(tiny_config(write_text(tmp_path / "two", alphabet="stuvwxyz .\n"), data=bpe), tmp_path / "other")
    run = trained(tiny_config(write_text(tmp_path / "one"), data=bpe), tmp_path / "run")
    shutil.rmtree(run.tokenizer)
    shutil.copytree(other.tokenizer, run.tokenizer)
    handle = resume(run)
    assert handle.exit_code == 2 and "the tokenizer is not the one" in str(handle.failure)
    assert resume(run, allow_changed_data=True).exit_code == 0


def test_a_text_that_was_only_touched_is_the_same(config: RunConfig, run: RunDirectory) -> None:
    os.utime(config.data.paths[0], (1, 1))
    clear_cache()
    assert resume(run).exit_code == 0
