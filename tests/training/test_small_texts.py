"""Texts and plans that are smaller than their settings: what is said, and what does not pretend to know."""

from pathlib import Path
from typing import Any

import pytest
from tiny_runs import changed, events, new, tiny_config, train, trained, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.events import AdviceRaised, CheckpointSaved, EvaluationCompleted, RunFinished, StepCompleted
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def said(run: RunDirectory, rule: str) -> list[AdviceRaised]:
    return [event for event in events(run, AdviceRaised) if event.rule == rule]


# A text that repeats itself


def repeating(tmp_path: Path, size: int, **sections: Any) -> RunConfig:
    text = tmp_path / "text.txt"
    text.write_text("ab" * (size // 2))
    return tiny_config(text, data={"tokenizer": "bpe", "vocab_size": 4096} | sections)


def test_bpe_that_packs_a_text_into_a_few_tokens_is_named(tmp_path: Path, run: RunDirectory) -> None:
    handle = train(new(repeating(tmp_path, 1_000_000), run))
    lines = str(handle.failure).splitlines()
    assert handle.exit_code == 2 and len(lines) == 2
    assert "the text repeats itself, so that bpe made " in lines[1] and "tokens of its 1,000,000 bytes" in lines[1]
    assert 'data.tokenizer = "char" or "bytes"' in lines[1]


def test_what_the_remedy_names_trains(tmp_path: Path, run: RunDirectory) -> None:
    assert train(new(repeating(tmp_path, 20_000, tokenizer="char"), run)).exit_code == 0
    assert said(run, "tokenizer") == []


def test_where_the_few_tokens_suffice_it_is_a_notice(tmp_path: Path, run: RunDirectory) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join("ab" * 8000 for _ in range(40)))
    config = tiny_config(text, data={"tokenizer": "bpe", "vocab_size": 4096})
    assert train(new(config, run)).exit_code == 0
    (notice,) = said(run, "tokenizer")
    assert "the text repeats itself" in notice.evidence and "char" in notice.remedy


def test_ordinary_text_does_not_repeat_itself(tmp_path: Path, run: RunDirectory) -> None:
    config = tiny_config(write_text(tmp_path), data={"tokenizer": "bpe", "vocab_size": 400})
    assert train(new(config, run)).exit_code == 0
    assert said(run, "tokenizer") == []


# A warm-up that is longer than the run


def test_a_warmup_longer_than_the_run_is_cut_and_said(tmp_path: Path, run: RunDirectory) -> None:
    config = tiny_config(write_text(tmp_path, 1500))
    training = config.training.model_copy(update={"max_steps": None, "epochs": 1, "warmup_steps": 100})
    trained(config.model_copy(update={"training": training}), run.path)
    steps = events(run, StepCompleted)
    assert max(event.learning_rate for event in steps) == steps[-1].learning_rate == 1e-2
    (notice,) = said(run, "warmup")
    assert f"training.warmup_steps = 100, and the run has {len(steps)} steps" in notice.evidence
    assert "peak, 0.01, only at the last step" in notice.remedy
    assert "--set training.warmup_steps=2" in notice.remedy


def test_an_ordinary_warmup_needs_no_word(tmp_path: Path, run: RunDirectory) -> None:
    trained(tiny_config(write_text(tmp_path)), run.path)
    assert said(run, "warmup") == []


# Figures, whatever the log interval


@pytest.mark.parametrize(("max_steps", "interval"), [(20, 1000), (300, 1000), (300, 4)])
def test_there_are_figures_whatever_the_log_interval(
    tmp_path: Path, run: RunDirectory, max_steps: int, interval: int
) -> None:
    config = tiny_config(write_text(tmp_path), training={"log_interval": interval, "eval_interval": 1000})
    trained(changed(config, max_steps=max_steps, checkpoint_interval=1000), run.path)
    logged = [event.step for event in events(run, StepCompleted)]
    assert logged[:5] == [1, 2, 3, 4, 5] and logged[-1] == max_steps
    assert min(max_steps, 50) <= len(logged)
    assert set(logged[5:-1]) == {
        step for step in range(6, max_steps) if step % min(interval, max(1, max_steps // 50)) == 0
    }
    follower = RunFollower(run)
    follower.catch_up()
    assert follower.state.tokens_per_second and follower.state.step and len(follower.state.pace.steps) >= 5


# A validation side of a few tokens


def tiny_validation(tmp_path: Path, **training: Any) -> RunConfig:
    """450 bytes to learn from and 50 to validate on."""
    return changed(tiny_config(write_text(tmp_path, 500)), **training)


def test_a_loss_over_a_few_tokens_is_called_noise_with_its_error(tmp_path: Path, run: RunDirectory) -> None:
    trained(tiny_validation(tmp_path), run.path)
    evaluations = events(run, EvaluationCompleted)
    assert all(event.is_noise and event.val_loss_error > 0 for event in evaluations)
    notices = said(run, "validation_noise")
    assert notices[0].level == "warning"
    last = evaluations[-1]
    assert f"val {last.val_loss:.3f} ± {last.val_loss_error:.3f} is noise" in notices[-1].evidence
    assert "49 tokens" in notices[-1].evidence and "data.val_fraction" in notices[-1].remedy


def test_noise_neither_ends_a_run_nor_keeps_an_old_best(tmp_path: Path, run: RunDirectory) -> None:
    """At this rate the loss rises from the first evaluation on."""
    wild = {"learning_rate": 5.0, "warmup_steps": 0, "schedule": "constant", "early_stop_patience": 1}
    trained(tiny_validation(tmp_path, **wild), run.path)
    assert events(run, RunFinished)[0].reason == "completed"
    assert CheckpointStore(run.checkpoints).pointer("best") == 20
    assert {event.step for event in events(run, CheckpointSaved) if event.is_best} >= {0, 5, 10, 15, 20}
    follower = RunFollower(run)
    follower.catch_up()
    assert follower.state.best is None, "nobody knows which is the best"
    assert follower.state.best_checkpoint_step == 20, "and the newest can be prompted"


def test_the_error_of_an_ordinary_loss_is_recorded_and_small(tmp_path: Path, run: RunDirectory) -> None:
    trained(tiny_config(write_text(tmp_path)), run.path)
    assert all(not event.is_noise and 0 < event.val_loss_error < 0.1 for event in events(run, EvaluationCompleted))
    assert said(run, "validation_noise") == []
