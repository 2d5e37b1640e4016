"""Samples at each evaluation: they tell what the model writes by now, and cost the run nothing but time."""

from pathlib import Path

import pytest
import torch
from tiny_runs import StopAfter, changed, events, figures, hold, new, sha_of, tensors_of, tiny_config, write_text

from tui_trainer.config import RunConfig
from tui_trainer.data.tokenizers import ByteTokenizer
from tui_trainer.estimates import sample_tokens
from tui_trainer.events import EvaluationCompleted, SampleGenerated, StepCompleted
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.launch import ResumedRun
from tui_trainer.training.learner import Learner
from tui_trainer.training.precision import FP32
from tui_trainer.training.samples import SampleWriter

PROMPTS = ["abc", "가 🙂", ""]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return tiny_config(write_text(tmp_path), sampling={"prompts": PROMPTS, "max_new_tokens": 12})


@pytest.mark.parametrize("architecture", ["gpt2", "modern"])
def test_with_or_without_samples_the_weights_are_bit_equal(
    config: RunConfig, tmp_path: Path, architecture: str
) -> None:
    model = {"model": config.model.model_copy(update={"architecture": architecture})}
    silent = {"sampling": config.sampling.model_copy(update={"prompts": ()})}
    talking, quiet = RunDirectory(tmp_path / "talking"), RunDirectory(tmp_path / "quiet")
    hold(new(config.model_copy(update=model), talking))
    hold(new(config.model_copy(update=model | silent), quiet))
    assert events(quiet, SampleGenerated) == []
    samples = events(talking, SampleGenerated)
    steps = [event.step for event in events(talking, EvaluationCompleted)]
    assert [(event.step, event.prompt) for event in samples] == [(step, prompt) for step in steps for prompt in PROMPTS]
    assert sha_of(tensors_of(talking)) == sha_of(tensors_of(quiet)), "weights, optimizer and random numbers"
    told = [[figures(event) for event in events(run, StepCompleted)] for run in (talking, quiet)]
    assert told[0] == told[1]


def test_two_runs_write_the_same_and_each_evaluation_something_else(config: RunConfig, tmp_path: Path) -> None:
    runs = [RunDirectory(tmp_path / name) for name in "ab"]
    for run in runs:
        hold(new(config, run))
    first, second = (events(run, SampleGenerated) for run in runs)
    assert first == second
    assert len({event.text for event in first}) > len(first) // 2
    assert all(event.tokens == 12 for event in first)


def test_a_stop_while_it_writes_keeps_the_evaluation(config: RunConfig, tmp_path: Path) -> None:
    run, whole = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "whole")
    hold(new(config, whole))

    class StopWhileWriting(StopAfter):
        def is_stopping(self) -> bool:
            if len(events(run, EvaluationCompleted)) == 2:
                self.stop()
            return super().is_stopping()

    from tui_trainer.training.session import hold_session

    hold_session(new(config, run), StopWhileWriting(), lambda directory: None)
    assert max(event.step for event in events(run, SampleGenerated)) == 0
    hold(ResumedRun(run, config, "cpu"))
    assert events(run, SampleGenerated) == events(whole, SampleGenerated), "what it owed it wrote"
    assert [event.step for event in events(run, EvaluationCompleted)] == [0, 5, 10, 15, 20]
    assert sha_of(tensors_of(run)) == sha_of(tensors_of(whole))


def write(config: RunConfig, text: bytes, step: int = 0, is_cancelled=lambda: False) -> list[SampleGenerated] | None:
    train = torch.tensor(list(text), dtype=torch.uint8).numpy()
    return SampleWriter(ByteTokenizer(), train).write(learner_of(config), config, step, is_cancelled)


def learner_of(config: RunConfig) -> Learner:
    return Learner.make(config, 256, torch.device("cpu"), FP32)


def test_how_much_it_writes_is_decided_by_the_configuration_alone(config: RunConfig) -> None:
    """A twentieth of what the training between two evaluations costs: 0.15 x 5 steps x 4 sequences are less than 32."""
    long = config.model_copy(update={"sampling": config.sampling.model_copy(update={"max_new_tokens": 300})})
    assert [sample.tokens for sample in write(long, b"x" * 100) or ()] == [32, 32, 32]
    seldom = changed(long, eval_interval=500)
    assert sample_tokens(seldom) == 0.15 * 500 * 4 / 3
    assert sample_tokens(changed(long, eval_interval=5000)) == 300
    assert sample_tokens(changed(config, eval_interval=5000)) == 12


def test_it_looks_for_a_stop_at_each_token(config: RunConfig) -> None:
    looks = iter([False] * 5 + [True] * 999)
    assert write(config, b"x" * 100, is_cancelled=lambda: next(looks)) is None
    assert next(looks) and len(list(looks)) == 999 - 2


def test_a_sample_that_does_not_fit_into_memory_ends_nothing(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("tui_trainer.training.samples.write_next", out_of_memory)
    assert write(config, b"x" * 100) == []


def test_what_it_quotes_is_found(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = iter(b"hello world!")
    config = config.model_copy(update={"sampling": config.sampling.model_copy(update={"prompts": ("x",)})})
    monkeypatch.setattr("tui_trainer.training.samples.write_next", lambda decoder, texts: [next(letters)] * len(texts))
    (sample, *_) = write(config, b"say hello wor ld hello", 3) or ()
    assert (sample.tokens, sample.quoted_tokens, sample.quote) == (12, 9, "hello wor")


def test_a_model_that_has_diverged_writes_nothing(config: RunConfig) -> None:
    learner = learner_of(config)
    learner.model.wte.weight.data.fill_(float("nan"))
    train = torch.zeros(100, dtype=torch.uint8).numpy()
    assert SampleWriter(ByteTokenizer(), train).write(learner, config, 0, lambda: False) == []
    assert learner.model.training
