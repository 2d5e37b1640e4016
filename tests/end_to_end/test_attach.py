"""Leave and come back: hand a run over, attach to it from elsewhere, steer it, ask its model."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from terminal import ENDLESS_RUN, Terminal, is_stepping, newest_run, wait_until

pytestmark = pytest.mark.terminal
ALONE = "import os, sys\nif 'resume' in sys.orig_argv:\n    print('NOT TODAY'); os._exit(9)\n"
"""Ends the process that is to go on with a run before it begins."""


def events_of(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def status_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "status.json").read_text())


def control(run: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tui_trainer", "control", str(run), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def leave_prompt(terminal: Terminal) -> None:
    """A letter right after Escape would be a key with Alt."""
    terminal.press("\x1b")
    terminal.wait_for("q quit", 10)


def started_on_screen(**environment: str) -> Terminal:
    terminal = Terminal("train", "quick-test", *ENDLESS_RUN, **environment)
    terminal.wait_for(is_stepping, 90)
    return terminal


def detached(runs: Path) -> Path:
    """A run that trains in a process of its own."""
    with started_on_screen() as terminal:
        terminal.press("d")
        assert terminal.wait_for_exit(60) == 0
    return newest_run(runs)


def test_detached_attached_prompted_steered_and_stopped(runs):
    run = detached(runs)
    assert len(events_of(run, "RunMoving")) == 1 and events_of(run, "RunFinished") == []
    owner = psutil.Process(status_of(run)["pid"])
    assert owner.is_running() and owner.terminal() is None
    with Terminal("attach") as first, Terminal("attach", run.name, "--readonly") as second:
        first.wait_for(is_stepping, 30)
        second.wait_for(is_stepping, 30)
        first.wait_for(lambda text: "space pause" in text, 10)
        assert "space pause" not in second.text, "who may only watch is offered nothing else"
        second.press("s", " ", "x")
        first.press(" ")
        first.wait_for("‖ paused", 20)
        second.wait_for("‖ paused", 20)
        second.wait_for("paused, asked for by", 5)
        assert [event["action"] for event in events_of(run, "ControlApplied")] == ["pause"]
        first.press(" ")
        second.wait_for(is_stepping, 20)
        second.press("p", "The", "\r")
        second.wait_for(lambda text: "answers (best" in text and "▌" in text, 60)
        leave_prompt(second)
        second.press("q")
        assert second.wait_for_exit() == 0
        first.press("q")
        assert first.wait_for_exit() == 0
    assert owner.is_running(), "q on an attached screen only closes the screen"
    assert "tui-trainer" in first.output.decode(errors="replace") and b"attach" in first.output[-1500:]
    answer = control(run, "stop")
    assert answer.returncode == 0 and answer.stdout.startswith("stop, asked for by")
    wait_until(lambda: status_of(run)["state"] == "finished")
    answer = control(run, "save")
    assert answer.returncode == 2 and "nobody trains it" in answer.stderr


def test_where_no_other_process_can_the_run_goes_on_here(runs, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ALONE)
    with started_on_screen(PYTHONPATH=str(tmp_path)) as terminal:
        run = newest_run(runs)
        terminal.press("d")
        wait_until(lambda: terminal.read() or len(events_of(run, "RunStarted")) == 2, 60)
        terminal.wait_for("detach had no effect", 20)
        terminal.wait_for(is_stepping, 20)
        assert status_of(run)["pid"] == terminal.process.pid
        (discarded,) = events_of(run, "ControlDiscarded")
        assert discarded["action"] == "detach" and "exit code 9" in discarded["reason"]
        assert "NOT TODAY" in (run / "console.log").read_text()
        started = events_of(run, "RunStarted")[-1]
        assert started["resumed_from_step"] == events_of(run, "RunMoving")[0]["step"]
        terminal.press("q", "q")
        assert terminal.wait_for_exit() == 0
    assert events_of(run, "RunFinished")[-1]["reason"] == "stopped"


def test_every_action_is_answered_within_a_step(runs, tmp_path):
    run = tmp_path / "R"
    command = [sys.executable, "-m", "tui_trainer", "train", "quick-test", "--headless", "--run-dir", str(run)]
    process = subprocess.Popen([*command, *ENDLESS_RUN], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: (run / "events.jsonl").exists() and bool(events_of(run, "StepCompleted")), 60)
        for action in ("pause", "resume", "save", "evaluate", "sample"):
            before = events_of(run, "StepCompleted")[-1]["step"]
            answer = control(run, action)
            assert answer.returncode == 0 and answer.stdout.startswith(f"{action}, asked for by {getpass.getuser()}")
            applied = events_of(run, "ControlApplied")[-1]
            assert applied["action"] == action and applied["step"] >= before
        assert control(run, "set", "training.learning_rate=0.0002").returncode == 0
        assert "learning_rate = 0.0002" in (run / "config.toml").read_text()
        wrong = control(run, "set", "training.learning_rate=-2")
        assert wrong.returncode == 1 and "must be greater than 0" in wrong.stdout
        for arguments, words in (
            ("jump", "must be one of"),
            ("set", "KEY=VALUE"),
            ("save x=1", "takes no value"),
        ):
            refused = control(run, *arguments.split())
            assert refused.returncode == 2 and words in refused.stderr and len(refused.stderr.splitlines()) <= 3
        assert control(run, "stop").returncode == 0
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_attach_prints_lines_where_there_is_no_terminal(runs, tmp_path):
    run = tmp_path / "R"
    train = [sys.executable, "-m", "tui_trainer", "train", "quick-test", "--headless", "--run-dir", str(run)]
    subprocess.run([*train, "--set", "training.max_steps=5"], stdout=subprocess.DEVNULL, check=True, timeout=120)
    attach = [sys.executable, "-m", "tui_trainer", "attach"]
    lines = subprocess.run([*attach, str(run)], capture_output=True, text=True, timeout=60)
    assert lines.returncode == 0 and "ended   completed at step 5" in lines.stdout
    asked = subprocess.run(attach, capture_output=True, text=True, timeout=60)
    assert asked.returncode == 2 and "tui-trainer attach RUN" in asked.stderr and "R" in asked.stdout


def test_without_a_name_several_runs_are_offered(runs, tmp_path):
    for name in ("A", "B"):
        train = [sys.executable, "-m", "tui_trainer", "train", "quick-test", "--headless", "--run-dir", tmp_path / name]
        subprocess.run([*train, "--set", "training.max_steps=2"], stdout=subprocess.DEVNULL, check=True, timeout=120)
    with Terminal("attach") as terminal:
        terminal.wait_for("choose a run to open", 20)
        terminal.press("\r")
        terminal.wait_for("✓ completed", 20)
        terminal.press("b")
        terminal.wait_for("choose a run to open", 20)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """A real sshd on loopback, and terminals that come through it."""
    daemon = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)
    if daemon is None or shutil.which("ssh") is None:
        pytest.skip("no sshd here")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": tmp_path / "host", "PidFile": "none", "UsePAM": "no",
        "AuthorizedKeysFile": tmp_path / "user.pub", "StrictModes": "no", "PermitRootLogin": "yes",
    }  # fmt: skip
    (tmp_path / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([daemon, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL)
    wait_until(lambda: can_connect(port), 10)
    places = ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "TUI_TRAINER_RUNS")
    exports = " ".join(f"{name}={os.environ[name]}" for name in places)

    def connect(*arguments: str) -> Terminal:
        options = [
            f"-oIdentityFile={tmp_path / 'user'}",
            "-oStrictHostKeyChecking=no",
            "-oUserKnownHostsFile=/dev/null",
        ]
        command = f"env {exports} {sys.executable} -m tui_trainer {' '.join(arguments)}"
        there = ["-F", "none", "-q", "-tt", "-p", str(port), f"{getpass.getuser()}@127.0.0.1", command]
        return Terminal(program=["ssh", *options, *there])

    yield connect
    server.terminate()
    server.wait()


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_dropped_ssh_link_costs_nothing(runs, ssh):
    """Start over SSH, lose the link, come back over another, see the whole history, ask the model, stop."""
    terminal = ssh("train", "quick-test", *ENDLESS_RUN)
    terminal.wait_for(is_stepping, 90)
    run = newest_run(runs)
    trainer = psutil.Process(status_of(run)["pid"])
    terminal.process.kill(signal.SIGKILL)
    wait_until(lambda: len(events_of(run, "TerminalLost")) == 1, 30)
    step = events_of(run, "StepCompleted")[-1]["step"]
    wait_until(lambda: events_of(run, "StepCompleted")[-1]["step"] > step + 5, 30)
    assert trainer.is_running() and len(events_of(run, "RunStarted")) == 1, "the same process, nothing was resumed"
    with ssh("attach") as back:
        back.wait_for(is_stepping, 30)
        back.press("p", "The", "\r")
        back.wait_for(lambda text: "answers (best" in text and "▌" in text, 60)
        leave_prompt(back)
        back.press("x", "x")
        back.wait_for("✓ stopped", 30)
        back.press("q")
        back.wait_for_exit()
    assert events_of(run, "RunFinished")[-1]["reason"] == "stopped"
    wait_until(lambda: not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE)
    time.sleep(0.1)
