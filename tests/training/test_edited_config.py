"""A config.toml that somebody edited between a stop and a resume, and settings that change while a run trains."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import changed, events, hold, new, sha_of, tensors_of, tiny_config, train, write_text

from tui_trainer.checkpoints import CheckpointStore
from tui_trainer.config import RunConfig
from tui_trainer.events import AdviceRaised, ControlApplied, EvaluationCompleted, RunStarted, StepCompleted
from tui_trainer.runs.control import send_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training import preparation
from tui_trainer.training.interruption import ProgramLink
from tui_trainer.training.launch import ResumedRun, ignore_directory
from tui_trainer.training.session import hold_session


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_trainer.training.interruption.CONTROL_INTERVAL_SECONDS", 0.0)


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return tiny_config(write_text(tmp_path))


@pytest.fixture
def run(config: RunConfig, tmp_path: Path) -> RunDirectory:
    """A run that was stopped in the middle."""
    run = RunDirectory(tmp_path / "run")
    hold(new(config, run), 60)
    assert 0 < CheckpointStore(run.checkpoints).load("last").step < 20
    return run


def edit(run: RunDirectory, key: str, value: str) -> None:
    """Changes or adds one line, as a person does in an editor."""
    section, _, name = key.partition(".")
    text = re.sub(rf"^{name} = .*\n", "", run.config_file.read_text(), flags=re.MULTILINE)
    run.config_file.write_text(text.replace(f"[{section}]\n", f"[{section}]\n{name} = {value}\n"))


def resume(run: RunDirectory, **changes: Any) -> Any:
    return train(ResumedRun(run, run.read_config(), "cpu", **changes))


def notices(run: RunDirectory, rule: str = "resume") -> list[str]:
    return [event.evidence for event in events(run, AdviceRaised) if event.rule == rule]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("model.n_head", "4", "model.n_head 2 → 4"),
        ("model.dropout", "0.0", "model.dropout 0.2 → 0"),
        ("training.optimizer", '"muon"', "training.optimizer adamw → muon"),
        ("data.tokenizer", '"char"', "data.tokenizer bytes → char"),
    ],
)
def test_what_decides_the_weights_is_refused(run: RunDirectory, key: str, value: str, shown: str) -> None:
    before = sha_of(tensors_of(run))
    edit(run, key, value)
    for is_allowed in (False, True):
        handle = resume(run, allow_changed_data=is_allowed)
        assert handle.exit_code == 2
        lines = handle.failure.splitlines()
        assert lines[0].startswith(f"{run.config_file}: {shown} since step ") and len(lines) == 2
    assert (sha_of(tensors_of(run)), len(events(run, RunStarted))) == (before, 1)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("data.val_fraction", "0.4", "data.val_fraction 0.1 → 0.4"),
        ("data.stride", "8", "data.stride left out → 8"),
    ],
)
def test_what_decides_the_text_is_refused_unless_allowed(run: RunDirectory, key: str, value: str, shown: str) -> None:
    edit(run, key, value)
    handle = resume(run)
    assert handle.exit_code == 2 and shown in handle.failure and "--allow-changed-data" in handle.failure
    handle = resume(run, allow_changed_data=True)
    assert (handle.exit_code, handle.failure) == (0, None)
    assert shown in notices(run)[0] and notices(run)[0].startswith("close, not identical: config.toml was changed: ")


def test_another_split_of_the_text_makes_the_best_sought_anew(run: RunDirectory) -> None:
    """Three quarters of the new validation text had been trained on."""
    edit(run, "data.val_fraction", "0.4")
    assert resume(run, allow_changed_data=True).exit_code == 0
    assert notices(run, "data")
    (start,) = [event for event in events(run, RunStarted) if event.resumed_from_step is not None]
    assert start.is_text_changed
    first = next(event for event in events(run, EvaluationCompleted) if event.step >= start.resumed_from_step)
    assert first.is_best or first.step == 0


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("training.batch_size", "8", "training.batch_size 4 → 8"),
        ("training.seed", "2", "training.seed 1 → 2"),
        ("training.learning_rate", "0.003", "training.learning_rate 0.01 → 0.003"),
    ],
)
def test_any_other_edit_is_reported_once(run: RunDirectory, key: str, value: str, shown: str) -> None:
    edit(run, key, value)
    hold(ResumedRun(run, run.read_config(), "cpu"), 20)
    assert notices(run) == [f"close, not identical: config.toml was changed: {shown}"]
    assert resume(run).exit_code == 0
    assert len(notices(run)) == 1, "what was accepted is the run's own from then on"


def test_prompts_may_be_edited_without_a_word(run: RunDirectory) -> None:
    edit(run, "sampling.temperature", "0.1")
    assert resume(run).exit_code == 0
    assert notices(run) == []


def test_what_was_asked_for_at_a_resume_is_no_edit(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the process is killed at once: what was asked for was saved before config.toml was written."""

    class Killed(BaseException):
        pass

    def die(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_config", die)
        with pytest.raises(Killed):
            hold(ResumedRun(run, changed(run.read_config(), max_steps=25), "cpu"))
    assert resume(run).exit_code == 0
    assert notices(run) == []


def test_old_settings_that_somebody_put_back_are_an_edit(run: RunDirectory) -> None:
    """They are those from before the last change, as after a kill; but nothing was killed."""
    before = run.config_file.read_bytes()
    longer = changed(run.read_config(), max_steps=400, learning_rate=0.001)
    hold(ResumedRun(run, longer, "cpu"), 8)
    run.config_file.write_bytes(before)
    hold(ResumedRun(run, run.read_config(), "cpu"), 8)
    (notice,) = notices(run)
    assert "training.max_steps 400 → 20" in notice and "training.learning_rate 0.001 → 0.01" in notice


def test_an_older_checkpoint_than_the_last_is_not_compared(run: RunDirectory) -> None:
    """It was trained under older settings, which nobody edited."""
    hold(ResumedRun(run, changed(run.read_config(), max_steps=25), "cpu"), 30)
    last = CheckpointStore(run.checkpoints).pointer("last")
    file = run.checkpoints / f"step-{last:08}.safetensors"
    file.write_bytes(file.read_bytes()[:-50])
    assert resume(run).exit_code == 0
    assert notices(run) == []


def test_checkpoints_without_the_record_are_not_compared(run: RunDirectory) -> None:
    store = CheckpointStore(run.checkpoints)
    last = store.load("last")
    state = {name: value for name, value in last.state.items() if name != "config"}
    store.save(last.step, last.tensors, state, last.metrics, is_best=False, keep=9)
    edit(run, "training.seed", "2")
    assert resume(run).exit_code == 0
    assert notices(run) == []


class SetAt(ProgramLink):
    """Asks for another rate after some steps."""

    def __init__(self, run: RunDirectory, step: int) -> None:
        super().__init__()
        self._run, self._step, self._is_sent = run, step, False

    def is_stopping(self) -> bool:
        if not self._is_sent and len(events(self._run, StepCompleted)) >= self._step:
            self._is_sent = True
            send_command(self._run.control, "set", "kim", {"key": "training.learning_rate", "value": 0.0001})
        return super().is_stopping()


@pytest.mark.parametrize("moment", ["before config.toml is written", "after it"])
def test_a_kill_after_a_live_change_keeps_it_and_repeats_no_step(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The steps since the last checkpoint must not be made again under another rate."""
    run = RunDirectory(tmp_path / "killed")
    config = changed(config, checkpoint_interval=500, eval_interval=500, schedule="constant", warmup_steps=0)

    class Killed(BaseException):
        pass

    real = preparation.write_config
    writes = []

    def write_then_die(run: RunDirectory, config: RunConfig) -> None:
        writes.append(config)
        if len(writes) == 2 and moment.startswith("before"):
            raise Killed
        real(run, config)
        if len(writes) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_config", write_then_die)
        with pytest.raises(Killed):
            hold_session(new(config, run), SetAt(run, 8), ignore_directory)
    assert CheckpointStore(run.checkpoints).load("last").step == 9
    assert resume(run).exit_code == 0
    rates = [(event.step, event.learning_rate) for event in events(run, StepCompleted)]
    assert rates == [(step, 0.01 if step <= 9 else 0.0001) for step in range(1, 21)]
    assert notices(run) == []
    assert run.read_config().training.learning_rate == 0.0001


def test_a_rate_set_by_hand_is_the_whole_rate_also_after_a_kill(tmp_path: Path, config: RunConfig) -> None:
    """A roll-back had halved it; who sets a rate means that rate."""
    run = RunDirectory(tmp_path / "halved")
    config = changed(config, checkpoint_interval=500, eval_interval=500, max_steps=400)
    hold(new(config, run), 60)
    store = CheckpointStore(run.checkpoints)
    last = store.load("last")
    progress = last.state["progress"] | {"learning_rate_factor": 0.5}
    store.save(last.step, last.tensors, last.state | {"progress": progress}, last.metrics, is_best=False, keep=9)
    command = [sys.executable, "-m", "tui_trainer", "resume", str(run.path), "--headless", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: len(events(run, RunStarted)) == 2)
        send_command(run.control, "set", "kim", {"key": "training.learning_rate", "value": 0.0001})
        wait_until(lambda: bool(events(run, ControlApplied)))
        process.send_signal(signal.SIGKILL)
    hold(ResumedRun(run, run.read_config(), "cpu"), 5)
    assert [event.learning_rate_factor for event in events(run, RunStarted)] == [1.0, 0.5, 1.0]


def wait_until(is_so: Any) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)
