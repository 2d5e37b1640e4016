"""Memory that runs out: the batch stays, less of it is in memory at once, and the step is made again as it was."""

import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import (
    assert_good,
    changed,
    events,
    figures,
    hold,
    new,
    sha_of,
    tensors_of,
    tiny_config,
    train,
    write_text,
)

from tui_trainer import free_memory
from tui_trainer.config import RunConfig
from tui_trainer.errors import UserError
from tui_trainer.events import EvaluationCompleted, MicroBatchReduced, RunFinished, RunStarted, StepCompleted
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training import memory, updater
from tui_trainer.training.launch import ResumedRun
from tui_trainer.training.memory import choose_micro_batch_size, halved
from tui_trainer.training.optimizer import Optimizers

CPU_WORDS = (
    "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
)
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError(CPU_WORDS),
    MemoryError(),
]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """Batches of 8 with dropout, from whose random numbers a replayed step must start again."""
    text = write_text(tmp_path)
    return tiny_config(text, training={"batch_size": 8, "micro_batch_size": 8, "max_steps": 12})


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def limit_rows(monkeypatch: pytest.MonkeyPatch, rows: int, error: BaseException, from_step: int = 1) -> None:
    """From a step on, the loss of more rows than this fits no more: the forward pass has drawn its dropout by then."""
    real, calls = torch.nn.functional.cross_entropy, 0

    def cross_entropy(logits: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += logits.requires_grad
        if logits.requires_grad and calls >= from_step and len(logits) > rows * 16:
            raise error
        return real(logits, *arguments, **options)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", cross_entropy)


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "python"])
def test_the_step_is_made_again_with_half_the_rows(
    config: RunConfig, run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """From the first step on: then the run is, bit for bit, one that was set to that micro-batch."""
    small = RunDirectory(tmp_path / "small")
    hold(new(changed(config, micro_batch_size=2), small))
    limit_rows(monkeypatch, 2, error)
    hold(new(config, run))
    reduced = events(run, MicroBatchReduced)
    assert [(event.step, event.micro_batch_size) for event in reduced] == [(1, 4), (1, 2)]
    assert sha_of(tensors_of(run)) == sha_of(tensors_of(small))
    steps = [[figures(event) for event in events(each, StepCompleted)] for each in (run, small)]
    assert steps[0] == steps[1]


def test_what_the_failed_attempt_held_is_free_before_the_next(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback that is still there keeps the logits alive, and then half of them fit no more than all."""
    real, held, alive = torch.nn.functional.cross_entropy, [], []

    def cross_entropy(logits: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        if logits.requires_grad and len(logits) > 4 * 16:
            held.append(weakref.ref(logits))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(logits, *arguments, **options)

    real_release = updater.release_memory

    def release(device: torch.device) -> None:
        real_release(device)
        alive.append([reference() for reference in held if reference() is not None])

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", cross_entropy)
    monkeypatch.setattr(updater, "release_memory", release)
    hold(new(config, run))
    assert len(held) == 1 and alive == [[]]


def test_a_scaler_that_was_interrupted_starts_the_step_anew(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's scaler refuses to unscale twice: memory that runs out right after it must not end the run."""
    real, calls = torch.nn.utils.clip_grad_norm_, 0

    def clip(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*arguments)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    handle = train(new(changed(config, precision="fp16"), run))
    assert (handle.exit_code, handle.failure) == (0, None)
    assert [(event.step, event.micro_batch_size) for event in events(run, MicroBatchReduced)] == [(3, 4)]


def test_in_the_middle_of_a_run_nothing_but_the_rounding_changes(
    config: RunConfig, run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = config.model_copy(update={"model": config.model.model_copy(update={"dropout": 0.0})})
    whole = RunDirectory(tmp_path / "whole")
    hold(new(plain, whole))
    limit_rows(monkeypatch, 3, ERRORS[0], from_step=6)
    hold(new(plain, run))
    assert [(event.step, event.micro_batch_size) for event in events(run, MicroBatchReduced)] == [(6, 4), (6, 2)]
    expected, found = ([event.train_loss for event in events(each, StepCompleted)] for each in (whole, run))
    assert expected[:5] == found[:5]
    assert found == pytest.approx(expected, rel=1e-4)
    assert [event.tokens_seen for event in events(run, StepCompleted)] == [128 * step for step in range(1, 13)]


def test_a_resume_keeps_the_smaller_micro_batch(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        limit_rows(patch, 4, ERRORS[0])
        hold(new(config, run))
    hold(ResumedRun(run, changed(config, max_steps=14), "cpu"))
    assert [event.micro_batch_size for event in events(run, RunStarted)] == [8, 4]


def test_one_sequence_that_does_not_fit_is_a_clear_error(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_rows(monkeypatch, 0, ERRORS[0], from_step=4)
    handle = train(new(config, run))
    assert handle.exit_code == 2
    lines = str(handle.failure).splitlines()
    assert len(lines) == 3 and lines[0].startswith("out of memory in a step, with one sequence at a time")
    assert "context_length" in lines[1]
    assert [event.micro_batch_size for event in events(run, MicroBatchReduced)] == [4, 2, 1]
    assert_good(run)
    monkeypatch.undo()
    hold(ResumedRun(run, config, "cpu"))
    assert events(run, RunStarted)[-1].resumed_from_step == 3, "the last complete step was saved"


def test_an_evaluation_that_does_not_fit_takes_fewer_rows(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.nn.functional.cross_entropy

    def cross_entropy(logits: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        if not logits.requires_grad and len(logits) > 5 * 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(logits, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.functional, "cross_entropy", cross_entropy)
        hold(new(config, run))
    rows = [event.micro_batch_size for event in events(run, MicroBatchReduced) if event.phase == "evaluating"]
    assert rows and rows[-1] in (3, 4, 5) and all(event.step == 0 for event in events(run, MicroBatchReduced))
    assert [event.step for event in events(run, EvaluationCompleted)] == [0, 5, 10, 12]


def test_memory_that_runs_out_while_weights_move_is_no_step_to_try_again(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some weights have moved by then: the last checkpoint stands, and nothing of the torn step is saved."""
    real, calls = Optimizers.step, 0

    def step(optimizers: Optimizers) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            optimizers.groups[0].parameters[0].data.add_(1.0)
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(optimizers)

    monkeypatch.setattr(Optimizers, "step", step)
    handle = train(new(config, run))
    assert handle.exit_code == 2 and "the optimizer keeps two numbers" in str(handle.failure)
    monkeypatch.undo()
    hold(ResumedRun(run, config, "cpu"))
    assert events(run, RunStarted)[-1].resumed_from_step == 0


def test_another_error_is_no_lack_of_memory(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_rows(monkeypatch, 4, RuntimeError("shapes do not fit"))
    assert train(new(config, run)).exit_code == 1
    assert events(run, MicroBatchReduced) == []


# What is decided before the start


def test_files_that_the_kernel_keeps_while_there_is_room_are_free_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container that has just read its text, almost all of its share is said to be in use."""
    for name, content in (("max", "8000"), ("current", "7900"), ("stat", "anon 500\ninactive_file 7000\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    monkeypatch.setattr(free_memory, "CONTROL_GROUP", tmp_path)
    assert memory.free_bytes(torch.device("cpu")) == 7100
    (tmp_path / "memory.max").write_text("max")
    assert memory.free_bytes(torch.device("cpu")) > 1e6


def chosen(monkeypatch: pytest.MonkeyPatch, config: RunConfig, free: float) -> int:
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(free))
    return choose_micro_batch_size(config, 50_257, torch.device("cpu"))


def test_the_micro_batch_is_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(
        Path("x"), model={"context_length": 256}, training={"batch_size": 24, "micro_batch_size": None}
    )
    found = [chosen(monkeypatch, config, free) for free in (64e9, 4e9, 2e9, 1e9, 0.6e9)]
    assert found[0] == 24
    assert found == sorted(found, reverse=True) and len(set(found)) > 2
    assert set(found) <= {24, 12, 6, 3, 2, 1}


def test_the_configured_micro_batch_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(Path("x"), model={"context_length": 256}, training={"batch_size": 24, "micro_batch_size": 20})
    assert chosen(monkeypatch, config, 2e9) == 20


def test_a_model_that_cannot_fit_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(Path("x"), model={"n_embd": 8192, "n_layer": 96})
    with pytest.raises(UserError, match=r"needs about \d,\d\d\d\.\d GB to train, 16\.0 GB are free on cpu"):
        chosen(monkeypatch, config, 16e9)


def test_halves() -> None:
    assert [halved(size) for size in (2, 3, 7, 8)] == [1, 2, 4, 4]


SCARCE = """
import resource, sys
from pathlib import Path
import torch
from tui_trainer.config import parse_config
from tui_trainer.training.interruption import ProgramLink
from tui_trainer.training.launch import NewRun
from tui_trainer.training.session import hold_session
torch.set_num_threads(1)
torch.rand(64, 64) @ torch.rand(64, 64)
config = parse_config({
    "model": {"n_layer": 1, "n_head": 1, "n_embd": 16, "context_length": 128},
    "data": {"tokenizer": "bpe", "vocab_size": 4096},
    "training": {"max_steps": 3, "batch_size": 256, "micro_batch_size": 256, "learning_rate": 1e-3},
}, "test")
used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 700_000_000,) * 2)
hold_session(NewRun(config, "scarce", Path(sys.argv[1]), "cpu"), ProgramLink(), lambda run: None)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is Linux's")
def test_a_real_allocator_that_refuses(run: RunDirectory) -> None:
    """256 × 128 tokens with 4,096 logits each are 537 MB an array; the process may take 700 MB more."""
    done = subprocess.run(
        [sys.executable, "-c", SCARCE, str(run.path)], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    reduced = events(run, MicroBatchReduced)
    assert reduced and "can't allocate memory" in reduced[0].reason
    assert [event.reason for event in events(run, RunFinished)] == ["completed"]
    assert [event.tokens_seen for event in events(run, StepCompleted)] == [256 * 128 * step for step in (1, 2, 3)]
