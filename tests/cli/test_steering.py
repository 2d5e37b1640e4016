from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time

import pytest

from tui_trainer.cli import steering
from tui_trainer.errors import UserError
from tui_trainer.event_codec import encode
from tui_trainer.events import ControlApplied, ControlDiscarded, Record
from tui_trainer.monitor.run_list import find_running
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import replace_file
from tui_trainer.runs.status import Status, boot_id


def write_status(run, **changes) -> None:
    here = {"host": socket.gethostname(), "boot_id": boot_id(), "pid": os.getpid(), "heartbeat": time.time()}
    replace_file(run.status_file, json.dumps(Status(**{"state": "running", **here, **changes}).__dict__).encode())


@pytest.fixture
def run(make_run):
    made = make_run("quick-test")
    write_status(made)
    return made


@pytest.fixture
def trainer(run):
    """Does something as soon as a command waits."""
    threads = []

    def answer(act) -> None:
        def look() -> None:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                if found := list(run.control.glob("*.json")):
                    act(json.loads(found[0].read_bytes())["id"])
                    return
                time.sleep(0.01)

        threads.append(threading.Thread(target=look))
        threads[-1].start()

    yield answer
    for thread in threads:
        thread.join()


def append(run, event) -> None:
    with run.event_log.open("ab") as log:
        log.write(encode(Record(time.time(), 0, event)))


@pytest.mark.parametrize(("changes", "why"), [({"state": "finished"}, "has ended"), ({"pid": 2**22 + 1}, "is gone")])
def test_a_run_that_ends_meanwhile_is_not_waited_for(run, trainer, monkeypatch, changes, why):
    monkeypatch.setattr(steering, "ANSWER_SECONDS", 5.0)
    trainer(lambda command: write_status(run, **changes))
    with pytest.raises(UserError, match=f"{why}; tui-trainer resume"):
        steering.control(str(run.path), "save", None)
    assert list(run.control.iterdir()) == []


def test_an_answer_that_came_before_the_end_is_told(run, trainer, capsys):
    def stop(command: str) -> None:
        append(run, ControlApplied(command, "stop", None, "me", 7))
        write_status(run, state="finished")

    trainer(stop)
    assert steering.control(str(run.path), "stop", None) == 0
    assert capsys.readouterr().out == "stop, asked for by me at step 7\n"


def test_what_had_no_effect_says_who_asked_and_why(run, trainer, capsys):
    trainer(lambda command: append(run, ControlDiscarded(command, "resume", None, "me", "it is not paused")))
    assert steering.control(str(run.path), "resume", None) == 1
    assert capsys.readouterr().out == "resume had no effect, asked for by me: it is not paused\n"


def test_a_copy_of_a_run_that_trains_takes_no_commands(run, tmp_path):
    write_status(run, directory=str(run.path))
    shutil.copytree(run.path, tmp_path / "mirror")
    for send in (steering.control, lambda name, *command: steering.send(RunDirectory(tmp_path / "mirror"), *command)):
        with pytest.raises(UserError, match="is not where this run is training") as error:
            send(str(tmp_path / "mirror"), "save", None)
        assert f"trains {run.path}; name that directory instead" in str(error.value)
    assert list((tmp_path / "mirror" / "control").iterdir()) == []


def test_the_run_that_trains_is_not_its_copy(run, tmp_path):
    """`attach` without a name: the copy says that it trains, too, and with a process that lives."""
    write_status(run, directory=str(run.path))
    copies = [RunDirectory(tmp_path / name) for name in ("fresh", "silent")]
    for copy in copies:
        shutil.copytree(run.path, copy.path)
    write_status(copies[1], directory=str(run.path), heartbeat=time.time() - 11)
    assert find_running([*copies, run], time.time()) == [run]
    assert find_running(copies, time.time()) == copies[:1], "who sees only a mirror watches that"


def test_a_run_that_was_renamed_while_it_trains_takes_no_commands(run, tmp_path):
    write_status(run, directory=str(run.path))
    run.path.rename(tmp_path / "better name")
    with pytest.raises(UserError, match="move it back to steer it"):
        steering.control(str(tmp_path / "better name"), "stop", None)


def test_a_copy_of_a_run_that_is_over_is_resumed_like_any_other(run, tmp_path):
    write_status(run, directory=str(run.path), pid=2**22 + 1)
    shutil.copytree(run.path, tmp_path / "copy")
    with pytest.raises(UserError, match="nobody trains it; tui-trainer resume"):
        steering.control(str(tmp_path / "copy"), "stop", None)
