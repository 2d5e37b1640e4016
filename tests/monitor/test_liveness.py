from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from unittest.mock import Mock

import pytest

from tui_trainer.monitor.liveness import (
    LONG_SECONDS,
    MOVING_SECONDS,
    STALE_SECONDS,
    Liveness,
    is_trained_elsewhere,
    judge,
    silence_text,
    waiting_text,
)
from tui_trainer.runs.status import Status, boot_id

NOW = 1000.0
MINE = Status(state="running", heartbeat=NOW, pid=os.getpid(), host=socket.gethostname(), boot_id=boot_id())


@pytest.fixture(scope="module")
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_beating_heart_is_alive():
    assert judge(MINE, NOW) is Liveness.ALIVE
    assert judge(MINE, NOW + STALE_SECONDS) is Liveness.ALIVE
    assert judge(MINE, NOW - 60) is Liveness.ALIVE


def test_a_process_that_is_gone_from_this_machine_is_dead_at_once(dead_pid):
    assert judge(replace(MINE, pid=dead_pid), NOW) is Liveness.DEAD


def test_a_process_that_nobody_has_asked_for_its_end_is_dead():
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        process.stdout.read()  # its end, but not yet its collection
        until = time.monotonic() + 5
        while judge(replace(MINE, pid=process.pid), NOW) is Liveness.ALIVE and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid, 0)
        assert judge(replace(MINE, pid=process.pid), NOW) is Liveness.DEAD


@pytest.mark.parametrize("pid", [0, -1, 2**70])
def test_what_cannot_be_a_process_is_dead(pid):
    assert judge(replace(MINE, pid=pid), NOW) is Liveness.DEAD


def test_a_silent_process_is_stale_not_dead():
    assert judge(MINE, NOW + STALE_SECONDS + 0.1) is Liveness.STALE


def test_a_process_of_somebody_else_exists(monkeypatch):
    """Also where others' processes cannot be looked at."""
    assert judge(replace(MINE, pid=1), NOW) is Liveness.ALIVE
    monkeypatch.setattr(os, "kill", Mock(side_effect=PermissionError))
    assert judge(replace(MINE, pid=1), NOW) is Liveness.ALIVE


@pytest.mark.parametrize("elsewhere", [{"host": "another-host"}, {"boot_id": "another-boot"}])
def test_elsewhere_only_silence_can_tell(dead_pid, elsewhere):
    status = replace(MINE, pid=dead_pid, **elsewhere)
    assert judge(status, NOW) is Liveness.ALIVE
    assert judge(status, NOW + 11) is Liveness.STALE


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_an_ended_run_stays_ended(dead_pid, state):
    assert judge(replace(MINE, state=state, pid=dead_pid), NOW + 1e6) is Liveness.ENDED


def test_without_a_status_nothing_is_known():
    assert judge(None, NOW) is Liveness.UNKNOWN


def test_a_handover_is_alive_for_a_while_though_its_process_may_be_gone(dead_pid):
    moving = replace(MINE, state="moving", pid=dead_pid)
    assert judge(moving, NOW + MOVING_SECONDS) is Liveness.ALIVE
    assert judge(moving, NOW + MOVING_SECONDS + 1) is Liveness.DEAD


def test_silence_is_said_with_its_length(dead_pid):
    assert silence_text(MINE, NOW + 5) == ""
    assert silence_text(None, NOW) == ""
    assert silence_text(MINE, NOW + 200) == "no heartbeat for 3 min 20 s"
    assert silence_text(replace(MINE, pid=dead_pid), NOW + 61) == "its process has been gone for 1 min 01 s"
    assert silence_text(replace(MINE, state="finished", pid=dead_pid), NOW + 61) == ""


def test_a_long_step_is_said_to_be_one():
    assert waiting_text(replace(MINE, progressed_at=NOW), NOW + LONG_SECONDS - 1) == ""
    assert waiting_text(replace(MINE, progressed_at=NOW), NOW + 65) == ", 1 min 05 s in this step"
    assert waiting_text(replace(MINE, progressed_at=0.0), NOW) == "", "nobody knows"


COPY = replace(MINE, is_elsewhere=True)


def test_a_copy_lives_while_somebody_keeps_it_fresh_and_is_dead_after(dead_pid):
    assert judge(COPY, NOW + STALE_SECONDS) is Liveness.ALIVE
    assert judge(COPY, NOW + STALE_SECONDS + 0.1) is Liveness.DEAD
    assert judge(replace(COPY, pid=dead_pid), NOW) is Liveness.DEAD
    assert silence_text(COPY, NOW + 61) == "a copy, not updated for 1 min 01 s"


def test_a_copy_is_trained_elsewhere_as_long_as_its_process_trains(dead_pid):
    assert is_trained_elsewhere(COPY)
    assert is_trained_elsewhere(replace(COPY, state="moving", pid=dead_pid, heartbeat=time.time()))
    assert not is_trained_elsewhere(replace(COPY, state="moving", pid=dead_pid)), "a handover takes no hours"
    for other in (MINE, replace(COPY, pid=dead_pid), replace(COPY, state="finished"), replace(COPY, state="failed")):
        assert not is_trained_elsewhere(other)
