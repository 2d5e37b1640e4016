"""However it ends, the last step is saved, the terminal is as it was, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from terminal import ENDLESS_RUN, Terminal, is_stepping, newest_run, wait_until

pytestmark = pytest.mark.terminal


def training_on_screen() -> Terminal:
    terminal = Terminal("train", "quick-test", *ENDLESS_RUN)
    terminal.wait_for(is_stepping, 90)
    return terminal


def assert_saved(run: Path) -> None:
    last = json.loads((run / "events.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["reason"]) == ("RunFinished", "stopped")
    pointer = json.loads((run / "checkpoints" / "last.json").read_text())["step"]
    assert pointer == last["step"] > 0
    assert (run / "checkpoints" / f"step-{pointer:08}.json").exists()
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


def run_folder() -> Path:
    return newest_run(Path(os.environ["TUI_TRAINER_RUNS"]))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_saves_restores_the_terminal_and_leaves(number):
    with training_on_screen() as terminal:
        terminal.kill(number)
        assert terminal.wait_for_exit() == 128 + number
    assert b"\x1b[?1049l" in terminal.output
    assert "resume" in terminal.output.decode()[-1500:]
    assert_saved(run_folder())


def test_a_terminal_that_nobody_reads_does_not_hold_the_end_up():
    with training_on_screen() as terminal:
        started = time.monotonic()
        terminal.kill(signal.SIGTERM)  # and nothing is read from now on
        wait_until(lambda: json.loads((run_folder() / "status.json").read_text())["state"] == "finished", 15)
        assert time.monotonic() - started < 10
        assert terminal.wait_for_exit() in (128 + signal.SIGTERM, 75)
    assert_saved(run_folder())


def test_continue_without_a_stop_changes_nothing():
    with training_on_screen() as terminal:
        threads = psutil.Process(terminal.process.pid).num_threads()
        for _ in range(3):
            terminal.kill(signal.SIGCONT)
            terminal.read(0.3)
        assert psutil.Process(terminal.process.pid).num_threads() == threads
        terminal.press("q", "q")
        assert terminal.wait_for_exit() == 0
    assert_saved(run_folder())


def test_what_libraries_print_is_in_the_log_and_not_on_the_screen(tmp_path):
    noise = tmp_path / "sitecustomize.py"
    noise.write_text(
        "import os, sys, threading\n"
        "def make_noise():\n"
        "    os.write(2, b'NOISE ON TWO\\n'); os.write(1, b'NOISE ON ONE\\n')\n"
        "if 'tui_trainer' in ' '.join(sys.orig_argv):\n"
        "    timer = threading.Timer(6, make_noise); timer.daemon = True; timer.start()\n"
    )
    with Terminal("train", "quick-test", *ENDLESS_RUN, PYTHONPATH=str(tmp_path)) as terminal:
        terminal.wait_for("● training", 90)
        wait_until(lambda: terminal.read() or b"NOISE ON ONE" in (run_folder() / "console.log").read_bytes(), 20)
        terminal.press("q", "q")
        assert terminal.wait_for_exit() == 0
    assert b"NOISE" not in terminal.output
    assert b"NOISE ON TWO" in (run_folder() / "console.log").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_a_headless_run_saves(number, tmp_path):
    run = tmp_path / "R"
    command = [sys.executable, "-m", "tui_trainer", "train", "quick-test", "--headless", "--on-hangup", "stop"]
    process = subprocess.Popen([*command, "--run-dir", run, *ENDLESS_RUN], stdout=subprocess.PIPE, text=True)
    wait_until(lambda: (run / "checkpoints" / "best.json").exists(), 60)
    time.sleep(0.5)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "resume" in output
    assert_saved(run)


def test_a_second_interrupt_leaves_at_once_with_the_old_checkpoint(tmp_path):
    run = tmp_path / "R"
    process = subprocess.Popen(
        [sys.executable, "-m", "tui_trainer", "train", "quick-test", "--headless", "--run-dir", run, *ENDLESS_RUN],
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: (run / "checkpoints" / "best.json").exists(), 60)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 128 + signal.SIGINT
    pointer = json.loads((run / "checkpoints" / "last.json").read_text())["step"]
    assert (run / "checkpoints" / f"step-{pointer:08}.safetensors").exists()
