from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tui_trainer.errors import UserError
from tui_trainer.runs.lock import RunLock

HOLD = """
import sys, time
from pathlib import Path
from tui_trainer.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run.lock")], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_trainer_is_told_who_the_first_is(tmp_path, holder):
    lock = tmp_path / "run.lock"
    with (
        pytest.raises(UserError, match=f"process {holder.pid} on {socket.gethostname()} is training here"),
        RunLock(lock),
    ):
        pytest.fail("two trainers at once")
    assert json.loads(lock.read_bytes())["pid"] == holder.pid


def test_a_killed_trainer_leaves_no_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = tmp_path / "run.lock"
    with RunLock(lock):
        assert json.loads(lock.read_bytes()) == {"pid": os.getpid(), "host": socket.gethostname()}


def test_it_is_let_go_when_the_training_fails(tmp_path):
    lock = tmp_path / "run.lock"
    with pytest.raises(ZeroDivisionError), RunLock(lock):
        raise ZeroDivisionError
    with RunLock(lock):
        assert json.loads(lock.read_bytes())["pid"] == os.getpid()


def test_a_started_program_does_not_keep_it(tmp_path):
    lock = tmp_path / "run.lock"
    with RunLock(lock):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with RunLock(lock):
            assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_an_unreadable_owner_is_another_process(tmp_path, holder):
    lock = tmp_path / "run.lock"
    lock.write_bytes(b"")
    with pytest.raises(UserError, match="another process is training here"), RunLock(lock):
        pytest.fail("two trainers at once")


@pytest.mark.parametrize("kind", ["symlink", "folder", "vanished"])
def test_what_cannot_be_a_lock_is_named_and_left_alone(tmp_path, kind):
    lock, target = tmp_path / "run" / "run.lock", tmp_path / "precious"
    target.write_text("precious")
    if kind != "vanished":
        lock.parent.mkdir()
        lock.symlink_to(target) if kind == "symlink" else lock.mkdir()
    with pytest.raises(UserError, match=f"{lock}: cannot be locked"), RunLock(lock):
        pytest.fail("no lock at all")
    assert target.read_text() == "precious"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, number):
    def refuse(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with RunLock(tmp_path / "run.lock") as lock:
        assert lock.missing_because == os.strerror(number)


def test_a_lock_that_fails_otherwise_is_an_error(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(UserError, match=r"run\.lock: cannot be locked: Input/output error"),
        RunLock(tmp_path / "run.lock"),
    ):
        pytest.fail("not locked")
