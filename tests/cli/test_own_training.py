"""Handing a training over, and every way in which that goes wrong."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_runs import changed, events, new, tiny_config, write_text

from tui_trainer.cli.handover import Successor, hand_over
from tui_trainer.cli.own_training import OwnTraining
from tui_trainer.config import RunConfig
from tui_trainer.events import ControlDiscarded, RunFinished, RunMoving, RunPaused, RunStarted, StepCompleted
from tui_trainer.runs.control import send_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status
from tui_trainer.training.launch import ignore_directory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def endless(tmp_path: Path) -> RunConfig:
    return changed(tiny_config(write_text(tmp_path)), max_steps=1_000_000, eval_interval=500_000)


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def state_of(run: RunDirectory) -> str:
    status = read_status(run.status_file)
    return status.state if status else ""


def start(config: RunConfig, run: RunDirectory, hand_over: Callable[..., str | None]) -> OwnTraining:
    training = OwnTraining(new(config, run), ignore_directory, hand_over)
    wait_for(lambda: run.event_log.exists() and events(run, StepCompleted))
    return training


def test_a_stop_while_no_other_process_can_take_it_is_heard(endless: RunConfig, run: RunDirectory) -> None:
    def fail(run: RunDirectory, *, is_paused: bool) -> str:
        training.stop()
        return "no room"

    training = start(endless, run, fail)
    training.detach("kim")
    training.join()
    (discarded,), (finished,) = events(run, ControlDiscarded), events(run, RunFinished)
    assert (discarded.action, discarded.reason) == ("detach", "no room")
    assert (finished.reason, finished.step) == ("stopped", events(run, RunMoving)[0].step)
    status = read_status(run.status_file)
    assert (status.state, status.reason) == ("finished", "stopped")
    assert not training.has_moved and training.exit_code == 0


def test_a_stop_just_after_it_was_taken_back_is_heard(endless: RunConfig, run: RunDirectory, monkeypatch) -> None:
    """Between the new handle's start and its being known, a stop went to the old one."""
    from tui_trainer.cli import own_training

    def launch_slowly(*what):
        training.stop()
        return launch(*what)

    training = start(endless, run, lambda run, is_paused: "no room")
    launch = own_training.launch
    monkeypatch.setattr(own_training, "launch", launch_slowly)
    training.detach("kim")
    training.join()
    assert not training.is_alive()
    assert state_of(run) in ("finished", "moving") and len(events(run, RunStarted)) <= 2


def test_a_paused_training_that_is_taken_back_stays_paused(endless: RunConfig, run: RunDirectory) -> None:
    training = start(endless, run, lambda run, is_paused: f"no room, {is_paused=}")
    send_command(run.control, "pause", "kim")
    wait_for(lambda: events(run, RunPaused))
    training.detach("kim")
    wait_for(lambda: len(events(run, RunPaused)) == 2)
    assert events(run, ControlDiscarded)[0].reason == "no room, is_paused=True"
    steps = len(events(run, StepCompleted))
    time.sleep(0.3)
    assert len(events(run, StepCompleted)) == steps
    training.stop()
    training.join()


def test_an_edit_that_the_other_process_refuses_does_not_end_the_training(
    endless: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = start(endless, run, hand_over)
    edited = run.config_file.read_text().replace("n_head = 2", "n_head = 4")
    run.config_file.write_text(edited)
    training.detach("kim")
    wait_for(lambda: len(events(run, RunStarted)) == 2, 60)
    steps = len(events(run, StepCompleted))
    wait_for(lambda: len(events(run, StepCompleted)) > steps)
    assert "exit code 2" in events(run, ControlDiscarded)[0].reason
    assert "model.n_head 2 → 4" in run.console_log.read_text()
    assert run.read_config().model.n_head == 2
    assert (run.path / "config.edited.toml").read_text() == edited
    training.stop()
    training.join()
    assert training.exit_code == 0


@pytest.mark.parametrize("edit", [lambda file: file.unlink(), lambda file: file.write_bytes(b"\xff\xfe = 1")])
def test_a_config_that_is_gone_or_no_text_does_not_end_the_training(
    endless: RunConfig, run: RunDirectory, edit: Callable[[Path], object]
) -> None:
    training = start(endless, run, hand_over)
    edit(run.config_file)
    training.detach("kim")
    wait_for(lambda: len(events(run, RunStarted)) == 2, 60)
    assert run.read_config().model.n_head == 2
    training.stop()
    training.join()
    assert training.exit_code == 0


def test_a_text_that_changed_while_it_was_trained_on_is_no_matter_to_a_detach(
    endless: RunConfig, run: RunDirectory, tmp_path: Path
) -> None:
    successors = []

    def keep_and_wait(run: RunDirectory, *, is_paused: bool) -> str | None:
        successors.append(Successor(run, is_paused=is_paused))
        return successors[0].wait()

    training = start(endless, run, keep_and_wait)
    Path(endless.data.paths[0]).write_text("something else")
    training.detach("kim")
    training.join()
    assert training.has_moved
    wait_for(lambda: state_of(run) == "running")
    send_command(run.control, "stop", "kim")
    wait_for(lambda: state_of(run) == "finished")
    assert successors[0].wait() is None
    assert [event.resumed_from_step is not None for event in events(run, RunStarted)] == [False, True]


def test_a_detach_before_the_first_step_waits_for_it(endless: RunConfig, run: RunDirectory) -> None:
    states = []

    def watch(run: RunDirectory, *, is_paused: bool) -> None:
        states.append(state_of(run))

    training = OwnTraining(new(endless, run), ignore_directory, watch)
    training.detach("kim")
    training.join()
    assert states == ["moving"] and training.has_moved
    assert len(events(run, RunMoving)) == 1, "a run that was not ready would have been thrown away"


def test_a_stop_before_the_first_step_ends_a_detach_that_waits(endless: RunConfig, run: RunDirectory) -> None:
    training = OwnTraining(new(endless, run), ignore_directory, lambda run, is_paused: "never asked")
    training.detach("kim")
    training.stop()
    training.join()
    assert not training.is_alive() and not training.has_moved


def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """Has the other process be something else."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


@pytest.fixture
def saved(endless: RunConfig, run: RunDirectory) -> RunDirectory:
    training = start(endless, run, lambda run, is_paused: None)
    training.detach("kim")
    training.join()
    return run


def test_a_process_that_is_done_at_once_has_done_it(saved: RunDirectory, monkeypatch, tmp_path) -> None:
    program(monkeypatch, tmp_path, "exit 0")
    assert hand_over(saved) is None


def test_a_process_that_fails_is_told_of(saved: RunDirectory, monkeypatch, tmp_path) -> None:
    program(monkeypatch, tmp_path, "exit 9")
    assert "exit code 9" in str(hand_over(saved))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert hand_over(saved) == "no other process could be started: No such file or directory"


def test_a_process_that_never_gets_ready_is_ended(saved: RunDirectory, monkeypatch, tmp_path) -> None:
    program(monkeypatch, tmp_path, "exec sleep 60")
    assert "was not ready within 0 s" in str(Successor(saved).wait(0.2))


def test_a_pause_is_handed_over(saved: RunDirectory, monkeypatch, tmp_path) -> None:
    program(monkeypatch, tmp_path, f'echo "$@" > {tmp_path}/asked')
    hand_over(saved, is_paused=True)
    assert "--paused" in (tmp_path / "asked").read_text()
