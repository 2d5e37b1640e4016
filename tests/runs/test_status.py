from __future__ import annotations

import json
import os
import shutil
import socket
import threading

import pytest

from tui_trainer.runs import status as module
from tui_trainer.runs.status import Status, StatusFile, boot_id, read_status


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "status.json"


@pytest.fixture(autouse=True)
def folder(path, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL_SECONDS", 0.01)
    path.parent.mkdir()
    return path.parent


def wait_for(is_so) -> None:
    for _ in range(500):
        if is_so():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def test_it_says_who_does_what_from_the_start(path):
    file = StatusFile(path, clock=lambda: 12.5)
    file.start()
    status = read_status(path)
    file.close("finished")
    assert status == Status(heartbeat=12.5, progressed_at=12.5, directory=str(path.parent))
    assert (status.pid, status.host, status.boot_id) == (os.getpid(), socket.gethostname(), boot_id())
    assert read_status(path).state == "finished"


def test_the_heart_beats_without_progress_and_progress_is_dated(path):
    now = [1.0]
    file = StatusFile(path, clock=lambda: now[0])
    file.start()
    file.update(step=7, phase="training")
    now[0] = 99.0
    try:
        wait_for(lambda: read_status(path).heartbeat == 99.0)
        expected = Status(step=7, phase="training", heartbeat=99.0, progressed_at=1.0, directory=str(path.parent))
        assert read_status(path) == expected
        assert file.step == 7
    finally:
        file.close("finished")


def test_a_reader_never_sees_half_a_status(path):
    file = StatusFile(path)
    file.start()
    try:
        for step in range(300):
            file.update(step=step, phase="x" * (step * 50 % 9000))
            assert read_status(path) is not None
    finally:
        file.close("finished")


def test_it_outlives_its_directory_and_writes_again_when_it_is_back(path):
    file = StatusFile(path)
    file.start()
    shutil.rmtree(path.parent)
    threading.Event().wait(0.05)
    path.parent.mkdir()
    try:
        wait_for(path.exists)
    finally:
        file.close("failed")
    assert read_status(path).state == "failed"
    assert [entry.name for entry in path.parent.iterdir()] == ["status.json"]


def test_its_thread_ends_with_it(path):
    before = threading.active_count()
    file = StatusFile(path)
    file.start()
    file.close("finished")
    assert threading.active_count() == before
    StatusFile(path).close("failed")
    assert read_status(path).state == "failed"


def test_what_is_unknown_or_of_a_wrong_type_is_left_out(path):
    content = {"step": 3, "colour": "red", "heartbeat": "now", "pid": None, "host": 7, "max_steps": None, "phase": 1}
    path.write_text(json.dumps(content))
    assert read_status(path) == Status(step=3, pid=0, host="", boot_id="")


@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff", b'{"step": 3'])
def test_a_missing_or_damaged_status_is_none(path, content):
    if content is not None:
        path.write_bytes(content)
    assert read_status(path) is None


def test_a_copy_is_told_from_the_run_wherever_both_lie(path, tmp_path):
    StatusFile(path).close("running")
    assert "is_elsewhere" not in json.loads(path.read_bytes())
    copy, link = tmp_path / "copy", tmp_path / "link"
    shutil.copytree(path.parent, copy)
    link.symlink_to(path.parent)
    assert not read_status(path).is_elsewhere
    assert not read_status(link / "status.json").is_elsewhere
    assert read_status(copy / "status.json").is_elsewhere
    shutil.copytree(copy, tmp_path / "copy of a copy")
    assert read_status(tmp_path / "copy of a copy" / "status.json").is_elsewhere
    path.parent.rename(tmp_path / "renamed")
    assert read_status(tmp_path / "renamed" / "status.json").is_elsewhere
    (tmp_path / "renamed").rename(path.parent)
    StatusFile(copy / "status.json").close("running")
    assert not read_status(copy / "status.json").is_elsewhere, "it is trained itself by now"


@pytest.mark.parametrize(
    "changes",
    [{"directory": ""}, {"directory": None}, {"directory": "a\0b"}, {"host": "another"}, {"boot_id": "another"}],
)
def test_what_cannot_be_known_is_no_copy(path, changes):
    status = {**Status(directory="/gone").__dict__, "is_elsewhere": True, **changes}
    path.write_text(json.dumps(status))
    assert not read_status(path).is_elsewhere
