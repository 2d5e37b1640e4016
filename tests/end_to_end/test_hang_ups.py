"""The terminal goes away at a random moment: the run goes on or is saved, by policy, and nothing is left behind.

Twenty rounds; `pytest tests/end_to_end/test_hang_ups.py --hang-ups 200` makes more of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from terminal import ENDLESS_RUN, Terminal, wait_until

pytestmark = pytest.mark.terminal

LATEST_SECONDS = 6.0
"""After the start: before, while and after torch is imported, text prepared, steps made."""
BUSY = 0.5
"""The thread that trains is busy; one that spins beside it is one too many."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is not test_it_goes_on_or_is_saved:
        return
    rounds = metafunc.config.getoption("--hang-ups")
    kinds = [
        (policy, shell, drained)
        for policy in ("continue", "stop")
        for shell in (False, True)
        for drained in (True, False)
    ]
    metafunc.parametrize(("number", "policy", "under_shell", "is_drained"), [(n, *kinds[n % 8]) for n in range(rounds)])


def test_it_goes_on_or_is_saved(tmp_path: Path, number: int, policy: str, under_shell: bool, is_drained: bool) -> None:
    chance = random.Random(number)
    run = tmp_path / "run"
    arguments = ("train", "quick-test", *ENDLESS_RUN, "--run-dir", str(run), "--on-hangup", policy)
    terminal = start(arguments, under_shell)
    trainer = trainer_of(terminal, under_shell, run)
    moment = time.monotonic() + chance.uniform(0, LATEST_SECONDS)
    while time.monotonic() < moment:
        terminal.read(0.1) if is_drained else time.sleep(0.1)
    terminal.hang_up()
    try:
        time.sleep(0.5)
        if policy == "continue" and not is_gone(trainer):  # it may not have come as far as to know the policy
            assert_goes_on(run, trainer)
            trainer.send_signal(signal.SIGTERM)
        wait_until(lambda: is_gone(trainer), 30)
    finally:
        end(terminal, trainer)
    assert_in_order(run)


def headless(run: Path) -> Terminal:
    return Terminal("train", "quick-test", *ENDLESS_RUN, "--run-dir", str(run), "--headless")


def resumed(run: Path) -> Terminal:
    with headless(run) as terminal:
        wait_until(lambda: terminal.read() or is_stepping(run), 60)
        terminal.kill(signal.SIGTERM)
        assert terminal.wait_for_exit() == 128 + signal.SIGTERM
    return Terminal("resume", str(run))


def handing_over(run: Path) -> Terminal:
    terminal = Terminal("train", "quick-test", *ENDLESS_RUN, "--run-dir", str(run))
    terminal.wait_for("d detach", 60)
    terminal.press("d")
    terminal.wait_for("handing over", 10)
    return terminal


@pytest.mark.parametrize(
    ("begin", "later"), [(headless, 0.3), (resumed, 0.3), (handing_over, 0.3), (handing_over, 2.5)]
)
def test_wherever_it_was_one_process_goes_on(tmp_path: Path, begin: Callable[[Path], Terminal], later: float) -> None:
    run = tmp_path / "run"
    terminal = begin(run)
    if begin is not handing_over:
        steps = len(events_of(run))
        wait_until(lambda: terminal.read() or (len(events_of(run)) > steps + 5 and is_stepping(run)), 60)
    terminal.read(later)
    terminal.hang_up()
    wait_until(lambda: is_gone(psutil.Process(terminal.process.pid)) or "TerminalLost" in kinds_of(run), 30)
    time.sleep(1.0)
    wait_until(lambda: status_of(run)["state"] == "running", 60)
    trainer = psutil.Process(status_of(run)["pid"])
    steps = len(events_of(run))
    wait_until(lambda: len(events_of(run)) > steps + 5, 60)
    try:
        assert kinds_of(run).count("TerminalLost") == (trainer.pid == terminal.process.pid), "once, if it had one"
        trainers = [
            process for process in psutil.process_iter(["cmdline"]) if str(run) in (process.info["cmdline"] or [])
        ]
        assert [process.pid for process in trainers if not is_gone(process)] == [trainer.pid]
    finally:
        trainer.terminate()
        wait_until(lambda: is_gone(trainer), 30)
        end(terminal, trainer)
    assert_in_order(run)


def test_a_screen_that_only_watches_ends_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with headless(run) as owner:
        wait_until(lambda: owner.read() or is_stepping(run), 60)
        watcher = Terminal("attach", str(run))
        watcher.wait_for("● training", 30)
        watcher.hang_up()
        wait_until(lambda: is_gone(psutil.Process(watcher.process.pid)), 15)
        end(watcher, psutil.Process(watcher.process.pid))
        steps = len(events_of(run))
        wait_until(lambda: owner.read() or len(events_of(run)) > steps + 5)
        assert "TerminalLost" not in kinds_of(run)


def start(arguments: tuple[str, ...], under_shell: bool) -> Terminal:
    if not under_shell:
        return Terminal(*arguments)
    terminal = Terminal(program=["bash", "--norc", "-i"])
    terminal.process.sendline(f"{sys.executable} -m tui_trainer {' '.join(arguments)}")
    return terminal


def trainer_of(terminal: Terminal, under_shell: bool, run: Path) -> psutil.Process:
    shell = psutil.Process(terminal.process.pid)
    if not under_shell:
        return shell
    wait_until(lambda: terminal.read(0.02) or bool(shell.children()), 10)
    return shell.children()[0]


def events_of(run: Path) -> list[dict[str, object]]:
    try:
        lines = (run / "events.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("}")]


def kinds_of(run: Path) -> list[object]:
    return [event["event"] for event in events_of(run)]


def is_stepping(run: Path) -> bool:
    return "StepCompleted" in kinds_of(run)


def status_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "status.json").read_text())


def assert_goes_on(run: Path, trainer: psutil.Process) -> None:
    """It makes steps, says in its log that the terminal is gone, and spends its time on nothing else."""
    steps = len(events_of(run))
    wait_until(lambda: any(event["event"] == "TerminalLost" for event in events_of(run)), 60)
    wait_until(lambda: len(events_of(run)) > steps + 5, 60)
    threads = {thread.id: thread.user_time + thread.system_time for thread in trainer.threads()}
    time.sleep(1.0)
    spent = {
        thread.id: thread.user_time + thread.system_time - threads.get(thread.id, 0) for thread in trainer.threads()
    }
    workers = sorted(spent.values(), reverse=True)
    assert sum(share > BUSY for share in workers) <= 1, f"more is busy than the thread that trains: {workers}"


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end(terminal: Terminal, trainer: psutil.Process) -> None:
    """Leaves nothing behind, also where a round failed."""
    if not is_gone(trainer):
        trainer.kill()
        pytest.fail("it had to be killed")
    with contextlib.suppress(ChildProcessError):
        os.waitpid(terminal.process.pid, 0)


def assert_in_order(run: Path) -> None:
    """Saved and ended, or, when it had not come as far as a run, not there at all."""
    if not run.exists():
        return
    events = events_of(run)
    if not any(event["event"] == "StepCompleted" for event in events):
        return
    assert (events[-1]["event"], events[-1]["reason"]) == ("RunFinished", "stopped")
    pointer = json.loads((run / "checkpoints" / "last.json").read_text())["step"]
    assert pointer == events[-1]["step"]
    assert (run / "checkpoints" / f"step-{pointer:08}.json").exists()
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
