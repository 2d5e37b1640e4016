"""How a training ends when something goes wrong, and when somebody asks it to."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import (
    assert_good,
    changed,
    events,
    hold,
    new,
    sha_of,
    tensors_of,
    tiny_config,
    train,
    trained,
    write_text,
)

from tui_trainer import places
from tui_trainer.checkpoints import CheckpointStore, NoSpaceError
from tui_trainer.checkpoints import Disk as RealDisk
from tui_trainer.config import RunConfig
from tui_trainer.events import (
    AdviceCleared,
    AdviceRaised,
    ControlApplied,
    ControlDiscarded,
    RunFailed,
    RunFinished,
    StepCompleted,
)
from tui_trainer.runs import lock
from tui_trainer.runs.catalogue import list_runs
from tui_trainer.runs.control import send_command
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.status import read_status, write_status
from tui_trainer.training.launch import NewRun, ResumedRun, TrainingHandle, launch


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return tiny_config(write_text(tmp_path))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


# A full disk


class Disk:
    """A disk that is full after some writes to files of a name, until a test frees it or it was asked often enough."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str, spare: int, refusals: int, number: int) -> None:
        self.refused = 0
        self._name, self._spare, self._refusals, self._number = name, spare, refusals, number
        self._write = os.write
        patch.setattr(os, "write", self.write)
        patch.setattr("tui_trainer.training.full_disk.RETRY_SECONDS", 0.01)

    @property
    def is_full(self) -> bool:
        return self._spare < 0 and self.refused < self._refusals

    def write(self, descriptor: int, content: Any) -> int:
        if self._name in Path(f"/proc/self/fd/{descriptor}").resolve().name:
            self._spare -= 1
            if self.is_full:
                self.refused += 1
                raise OSError(self._number, os.strerror(self._number))
        return self._write(descriptor, content)


PLACES = [("events.jsonl", 30), (".safetensors", 150), ("-step-0", 151)]
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files: Linux only")


@needs_proc
@pytest.mark.parametrize(("name", "spare"), PLACES)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_is_full_for_a_while_costs_no_step(
    config: RunConfig, run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, spare: int, number: int,
) -> None:  # fmt: skip
    straight = trained(config, tmp_path / "straight")
    with monkeypatch.context() as patch:
        disk = Disk(patch, name, spare, 40, number)
        handle = train(new(config, run))
    assert (handle.exit_code, handle.failure, disk.refused) == (0, None, 40)
    assert [event.step for event in events(run, StepCompleted)] == list(range(1, 21))
    assert sha_of(tensors_of(run)) == sha_of(tensors_of(straight))
    assert events(run, RunFinished)[0].reason == "completed"
    (raised,) = [event for event in events(run, AdviceRaised) if event.rule == "disk"]
    assert raised.level == "wrong" and "is saved" in raised.evidence
    assert [event.rule for event in events(run, AdviceCleared)].count("disk") == 1
    assert_good(run)
    assert not list(run.checkpoints.glob(".tmp-*"))


@needs_proc
@pytest.mark.parametrize(("name", "spare"), PLACES)
def test_a_run_that_must_end_on_a_full_disk_says_which_step_is_safe(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch, name: str, spare: int
) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch, name, spare, 10**9, errno.ENOSPC)
        handle = launch(new(config, run))
        while not ((status := read_status(run.status_file)) and status.phase == "waiting_for_disk"):
            assert handle.is_alive()
            time.sleep(0.01)
        assert disk.is_full
        handle.stop()
        handle.join(60)
    assert (handle.exit_code, handle.run_dir) == (1, run)
    last = CheckpointStore(run.checkpoints).pointer("last")
    lines = str(handle.failure).splitlines()
    assert len(lines) == 2 and lines[0].startswith(f"{run.path}: the disk is full: ")
    assert lines[1] == f"step {last:,} is safe; free some space, then: tui-trainer resume {run.path}"
    assert ("No space left" in status.trouble) == (name == "events.jsonl")
    assert read_status(run.status_file).state == "failed"
    assert_good(run)
    assert train(ResumedRun(run, config, "cpu")).exit_code == 0
    assert events(run, RunFinished)[-1].step == 20


@needs_proc
def test_a_limit_on_file_sizes_is_named_as_such(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Disk(patch, "events.jsonl", 30, 40, errno.EFBIG)
        assert train(new(config, run)).exit_code == 0
    (raised,) = [event for event in events(run, AdviceRaised) if event.rule == "disk"]
    assert "events.jsonl: File too large" in raised.evidence and "ulimit -f" in raised.remedy


def test_only_the_room_that_a_save_needs_is_asked_for(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(run.path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=2_000_000))
    assert train(new(config, run)).exit_code == 0
    largest = max(path.stat().st_size for path in run.checkpoints.iterdir())
    with pytest.raises(NoSpaceError) as caught:
        CheckpointStore(run.checkpoints, NoRoom()).save(30, tensors_of(run), {}, {}, is_best=False, keep=1)
    assert largest < caught.value.needed_bytes < largest + 2_000_000


class NoRoom(RealDisk):
    def free_bytes(self, folder: Path) -> int:
        return 0


def test_too_little_room_is_noticed_before_a_save(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage, calls = shutil.disk_usage(run.path.parent), 0

    def shrink(folder: Any) -> Any:
        nonlocal calls
        calls += 1
        return usage if not 3 <= calls < 9 else usage._replace(free=1000)

    monkeypatch.setattr(shutil, "disk_usage", shrink)
    monkeypatch.setattr("tui_trainer.training.full_disk.RETRY_SECONDS", 0.01)
    handle = train(new(config, run))
    assert (handle.exit_code, handle.run_dir) == (0, run)
    (raised,) = [event for event in events(run, AdviceRaised) if event.rule == "disk"]
    assert "no room for a checkpoint" in raised.evidence and "0.0 MB free" in raised.evidence
    assert_good(run)


def test_a_resume_on_a_full_disk_is_refused(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(config, run.path)
    usage = shutil.disk_usage(run.path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    assert "no room for a checkpoint" in refused(run, changed(config, max_steps=40))


@pytest.mark.parametrize(
    "call", ["tui_trainer.training.preparation.replace_file", "tui_trainer.data.tokenizers.Tokenizer.save"]
)
def test_a_disk_that_is_full_from_the_start(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(call, refuse)
    handle = train(new(config, run))
    assert (handle.exit_code, handle.run_dir) == (2, None)
    assert "no space left" in str(handle.failure)
    assert not run.path.exists()


# Mistakes


def test_a_new_run_that_cannot_begin_leaves_nothing(tmp_path: Path, run: RunDirectory) -> None:
    short = tiny_config(write_text(tmp_path, 12))
    handle = train(new(short, run))
    assert (handle.exit_code, handle.run_dir) == (2, None)
    assert "context_length" in str(handle.failure)
    assert not run.path.exists()
    missing = tiny_config(tmp_path / "nowhere.txt")
    assert train(NewRun(missing, "tiny", None, "cpu")).exit_code == 2
    assert train(NewRun(missing, "tiny", None, "quantum")).exit_code == 2
    assert not Path(os.environ["TUI_TRAINER_RUNS"]).exists()


def refused(run: RunDirectory, config: RunConfig) -> str:
    """The message of a resume that is refused; the run must be what it was before."""
    status, ended = run.status_file.read_bytes(), events(run, RunFinished)
    before = sha_of(tensors_of(run)), run.config_file.read_bytes()
    handle = train(ResumedRun(run, config, "cpu"))
    assert (handle.exit_code, handle.run_dir in (run, None)) == (2, True)
    assert handle.failure is not None and len(handle.failure.splitlines()) <= 3
    assert run.status_file.read_bytes() == status
    assert (events(run, RunFinished), events(run, RunFailed)) == (ended, [])
    assert (sha_of(tensors_of(run)), run.config_file.read_bytes()) == before
    return handle.failure


def test_a_complete_run_says_how_to_go_on(config: RunConfig, run: RunDirectory) -> None:
    trained(config, run.path)
    message = refused(run, config)
    assert "complete at step 20 of 20" in message
    assert f"tui-trainer resume {run.path} --set training.max_steps=40" in message


def test_a_run_in_use_is_refused(config: RunConfig, run: RunDirectory) -> None:
    trained(config, run.path)
    with RunLock(run.lock_file):
        assert f"process {os.getpid()}" in refused(run, changed(config, max_steps=40))


def test_a_bug_is_one_line_and_its_traceback_is_in_the_log(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def boom(*arguments: Any) -> None:
        raise RuntimeError("boom\n" * 50)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", boom)
    handle = train(new(config, run))
    assert (handle.exit_code, handle.failure) == (1, "RuntimeError: boom")
    assert (handle.run_dir, events(run, RunFailed)[0].reason) == (run, handle.failure)
    assert "Traceback" in run.console_log.read_text()
    assert "clip_grad_norm_" in run.console_log.read_text()
    assert capfd.readouterr() == ("", "")
    assert_good(run)


# Stops


@pytest.mark.parametrize("look", [1, 2])
def test_a_stop_while_the_text_is_read_leaves_nothing(config: RunConfig, run: RunDirectory, look: int) -> None:
    hold(new(config, run), look)
    assert not run.path.exists()


def test_a_stop_at_once_through_the_handle(config: RunConfig, run: RunDirectory) -> None:
    handle = TrainingHandle(new(config, run), lambda directory: handle.stop())
    handle.start()
    handle.join(60)
    assert (handle.exit_code, handle.failure, handle.run_dir, run.path.exists()) == (0, None, None, False)


def test_a_resume_that_is_stopped_at_once_changes_nothing(config: RunConfig, run: RunDirectory) -> None:
    trained(config, run.path)
    status, last = run.status_file.read_bytes(), sha_of(tensors_of(run))
    handle = TrainingHandle(ResumedRun(run, changed(config, max_steps=40), "cpu"), lambda directory: handle.stop())
    handle.start()
    handle.join(60)
    assert (handle.exit_code, handle.failure, handle.run_dir) == (0, None, run)
    assert (run.status_file.read_bytes(), sha_of(tensors_of(run))) == (status, last)
    assert [event.reason for event in events(run, RunFinished)] == ["completed"]


def wait_for_a_step(handle: TrainingHandle, run: RunDirectory, count: int = 3) -> None:
    while handle.is_alive() and len(events(run, StepCompleted)) < count:
        time.sleep(0.01)
    assert handle.is_alive()


def test_a_stop_later_is_saved(config: RunConfig, run: RunDirectory) -> None:
    handle = launch(new(changed(config, max_steps=100_000), run))
    wait_for_a_step(handle, run)
    threads = [threading.Thread(target=handle.stop) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    handle.join(10)
    assert (handle.is_alive(), handle.exit_code, handle.failure) == (False, 0, None)
    finished = events(run)[-1]
    assert isinstance(finished, RunFinished) and finished.reason == "stopped"
    assert CheckpointStore(run.checkpoints).load("last").step == finished.step == events(run, StepCompleted)[-1].step
    status = read_status(run.status_file)
    assert status is not None and (status.state, status.step) == ("finished", finished.step)


def test_a_stop_from_another_process(config: RunConfig, run: RunDirectory) -> None:
    handle = launch(new(changed(config, max_steps=100_000), run))
    wait_for_a_step(handle, run)
    asked = time.monotonic()
    command = send_command(run.control, "stop", "a test")
    handle.join(10)
    assert time.monotonic() - asked < 5
    applied = events(run, ControlApplied)[0]
    finished = events(run, RunFinished)[0]
    assert (applied.id, applied.action, applied.requested_by) == (command, "stop", "a test")
    assert (finished.reason, finished.step) == ("stopped", applied.step)
    assert list(run.control.iterdir()) == []


def test_commands_from_before_are_discarded_and_named(config: RunConfig, run: RunDirectory) -> None:
    trained(config, run.path)
    stale = [send_command(run.control, action, "somebody gone") for action in ("stop", "dance")]
    (run.control / "broken.json").write_text("{")
    handle = train(ResumedRun(run, changed(config, max_steps=25), "cpu"))
    assert handle.exit_code == 0
    assert events(run, RunFinished)[-1].reason == "completed"
    assert events(run, ControlApplied) == []
    assert {event.id for event in events(run, ControlDiscarded)} == set(stale)
    assert list(run.control.iterdir()) == []


def test_a_command_that_nobody_knows_is_named_too(config: RunConfig, run: RunDirectory) -> None:
    handle = launch(new(changed(config, max_steps=100_000), run))
    wait_for_a_step(handle, run)
    command = send_command(run.control, "dance", "a test", 3)
    send_command(run.control, "stop", "a test")
    handle.join(10)
    assert not handle.is_alive()
    assert events(run, ControlDiscarded) == [
        ControlDiscarded(command, "dance", 3, "a test", "nobody knows this action")
    ]


# A start that fails leaves nothing behind


def nothing_left(tmp_path: Path) -> bool:
    return not list_runs() and [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def refuse_to_lock(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", flock)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_it_trains_and_says_so(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_to_lock(monkeypatch, number)
    assert train(new(config, run)).exit_code == 0
    (notice,) = [event for event in events(run, AdviceRaised) if event.rule == "lock"]
    assert "run.lock" in notice.evidence and os.strerror(number) in notice.evidence
    assert train(ResumedRun(run, changed(run.read_config(), max_steps=25), "cpu")).exit_code == 0


def test_without_locks_a_run_that_another_process_trains_is_refused(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(config, run.path)
    refuse_to_lock(monkeypatch, errno.ENOLCK)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        status = replace(read_status(run.status_file), state="running", pid=other.pid, heartbeat=time.time())
        write_status(run.status_file, status)
        assert f"process {other.pid}" in refused(run, changed(config, max_steps=40))
    assert train(ResumedRun(run, changed(run.read_config(), max_steps=25), "cpu")).exit_code == 0, "it is dead now"


def test_a_lock_that_fails_leaves_nothing(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_to_lock(monkeypatch, errno.EIO)
    handle = train(new(config, RunDirectory(tmp_path / "deep" / "run")))
    assert (handle.exit_code, handle.run_dir) == (2, None)
    assert "cannot be locked: Input/output error" in handle.failure and len(handle.failure.splitlines()) == 1
    assert nothing_left(tmp_path)


def test_a_folder_that_was_there_before_stays(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    short = config.model_copy(update={"model": config.model.model_copy(update={"context_length": 5000})})
    handle = train(new(short, RunDirectory(tmp_path / "out")))
    assert handle.exit_code == 2
    assert list((tmp_path / "out").iterdir()) == []
    assert train(new(config, RunDirectory(tmp_path / "out"))).exit_code == 0


def test_what_others_put_into_the_folder_of_a_failed_start_stays(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()

    def write_beside(*arguments: Any) -> None:
        (tmp_path / "out" / "notes.txt").write_text("mine")
        raise RuntimeError("boom")

    monkeypatch.setattr("tui_trainer.training.preparation.Evaluator", write_beside)
    assert train(new(config, RunDirectory(tmp_path / "out"))).exit_code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_a_bug_before_the_first_checkpoint_leaves_no_run_but_its_traceback(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*arguments: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("tui_trainer.training.preparation.Evaluator", boom)
    handle = train(new(config, RunDirectory(tmp_path / "run")))
    assert (handle.exit_code, handle.run_dir) == (1, None)
    log = places.state_folder() / "failures.log"
    assert handle.failure.splitlines() == [
        "RuntimeError: boom",
        f"nothing was kept of this start; the traceback is in {log}",
    ]
    assert "preparation.py" in log.read_text()
    assert nothing_left(tmp_path)


# What belongs to the whole process


def test_a_training_leaves_random_numbers_and_threads_of_its_process_as_they_were(
    config: RunConfig, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(123)
    expected = torch.rand(3).tolist()
    torch.manual_seed(123)
    trained(config, run.path)
    monkeypatch.delenv("OMP_NUM_THREADS")
    try:
        torch.set_num_threads(2)
        assert train(ResumedRun(run, changed(run.read_config(), max_steps=25), "cpu")).exit_code == 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.rand(3).tolist() == expected


def test_two_trainings_in_one_process_would_share_random_numbers(
    config: RunConfig, run: RunDirectory, tmp_path: Path
) -> None:
    first = launch(new(changed(config, max_steps=100_000), run))
    wait_for_a_step(first, run)
    second = train(new(config, RunDirectory(tmp_path / "second")))
    assert second.exit_code == 1 and "one training at a time" in str(second.failure)
    assert not (tmp_path / "second").exists()
    first.stop()
    first.join(60)
    assert first.exit_code == 0
