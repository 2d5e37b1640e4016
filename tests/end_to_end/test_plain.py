"""For the ear and by typed lines: choose, follow, steer, ask, leave and come back, without a screen."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from terminal import ENDLESS_RUN, SHORT_RUN, Terminal, newest_run, wait_until

pytestmark = pytest.mark.terminal

PROGRAM = (sys.executable, "-m", "tui_trainer")
PRESETS = Path(__file__).parents[2] / "presets"
BRIEF_RUN = (*SHORT_RUN, "--set", "training.max_steps=40")
QUESTION = "Which number? Enter for 1. Type quit to leave."


class Listener(Terminal):
    """Hears the program line by line, and types lines."""

    heard = 0

    def type(self, line: str) -> None:
        self.process.sendline(line)

    def hear(self, words: str, seconds: float = 60) -> str:
        """Waits for words that come after those that were heard last; returns what was said until then."""
        until = time.monotonic() + seconds
        while (place := self.output.find(words.encode(), self.heard)) < 0:
            assert time.monotonic() < until, f"never said {words!r}:\n{self.said}"
            is_over = not self.process.isalive()
            before = len(self.output)
            self.read()
            assert not (is_over and len(self.output) == before), f"ended without {words!r}:\n{self.said}"
        start, self.heard = self.heard, place + len(words)
        return self.output[start : self.heard].decode()

    @property
    def said(self) -> str:
        return self.output.decode(errors="replace")


def training(*arguments: str) -> Listener:
    listener = Listener("train", "quick-test", "--plain", *ENDLESS_RUN, *arguments)
    listener.hear("Step ", 90)
    return listener


def events_of(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def run_with(typed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], input=typed, capture_output=True, text=True, timeout=150, check=False)


def assert_is_plain(said: str) -> None:
    """Sentences, and what stands between them to be copied: no escape, no column, no sign."""
    assert "\x1b" not in said and "  " not in said
    assert said.replace("\r\n", "\n").replace("\n", "").isprintable()


def test_choose_by_number_from_a_pipe_and_train_to_the_end(runs):
    done = run_with("77\n1\n", "--plain", *BRIEF_RUN)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "1: quick-test. Does the code work? Under a minute on two CPU cores."
    presets = len(list(PRESETS.glob("*.toml")))
    assert lines[presets : presets + 2] == [QUESTION, f'"77" is no number from 1 to {presets}. {QUESTION}']
    assert [line for line in lines if line.startswith("The training ")][-1].startswith(
        "The training is complete at step 40 after "
    )
    assert "The run is kept here:" in lines and str(newest_run(runs)) in lines
    assert lines[-2] == "To go on with it, run this:"
    assert lines[-1].endswith(f"resume {newest_run(runs)} --set training.max_steps=80 --plain")
    assert_is_plain(done.stdout)


@pytest.mark.parametrize("typed", ["", "quit\n"])
def test_the_end_of_the_input_and_quit_leave_the_choice(runs, typed):
    done = run_with(typed, "--plain")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == QUESTION
    assert not list(runs.glob("*"))


def test_ctrl_c_leaves_the_choice():
    with Listener("--plain") as listener:
        listener.hear(QUESTION)
        listener.process.sendcontrol("c")
        assert listener.wait_for_exit() == 130
    assert "Traceback" not in listener.said


def test_commands_from_a_pipe_are_obeyed_in_their_order_once_the_training_has_begun(runs):
    typed = "pause\nresume\nset training.learning_rate=2e-4\nbest\n"
    done = run_with(typed, "train", "quick-test", "--plain", *BRIEF_RUN)
    assert done.returncode == 0, done.stderr
    (run,) = runs.glob("*")
    assert [event["action"] for event in events_of(run, "ControlApplied")] == ["pause", "resume", "set"]
    answers = ["You asked to pause.", "You asked to go on.", "You set training.learning_rate to 0.0002."]
    assert [line for line in done.stdout.splitlines() if line in answers] == answers
    assert "The training is complete at step 40 after " in done.stdout


def test_a_stop_before_anything_could_be_saved_says_so(runs):
    done = run_with("stop\n", "train", "quick-test", "--plain", *ENDLESS_RUN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "It was stopped before there was anything to keep."
    assert not list(runs.glob("*"))


def test_pause_say_resume_set_and_stop_in_a_terminal(runs):
    with training() as listener:
        listener.type("pause")
        listener.hear("You asked to pause.")
        listener.hear("which is saved.")
        listener.type("say The value")
        listener.hear("Asked. The answer comes in one piece.")
        answer = listener.hear("End of the text.")
        assert re.search(r"At step [\d,]+ the model writes:\r\nThe value", answer)
        listener.type("resume")
        listener.hear("Going on from step ")
        listener.type("set training.learning_rate=2e-4")
        listener.hear("You set training.learning_rate to 0.0002.")
        listener.type("status")
        listener.hear("Learning rate ")
        listener.type("say The value")
        listener.hear("Asked.")
        listener.type("stop")
        listener.hear("The answer to your prompt was given up.")
        listener.hear("You asked to stop.")
        listener.hear("The training was stopped at step ")
        assert listener.wait_for_exit() == 0
    assert_is_plain(listener.said.replace(answer, ""))
    assert events_of(newest_run(runs), "RunFinished")[0]["reason"] == "stopped"


def test_detach_come_back_and_leave_again(runs):
    with training() as listener:
        listener.type("quit")
        listener.hear("Type quit again to stop and save, or detach to let it train on.")
        listener.type("detach")
        listener.hear("It trains on. To come back to it, run this:", 60)
        assert listener.wait_for_exit(60) == 0
    (run,) = runs.glob("*")
    owner = psutil.Process(json.loads((run / "status.json").read_text())["pid"])
    assert owner.is_running() and len(events_of(run, "RunStarted")) == 2
    with Listener("attach", "--plain", "--readonly") as watcher:
        opening = watcher.hear("Type help to hear what you can type.")
        assert opening.count("\n") <= 3 and f"This is run {run.name}, made from quick-test." in opening
        watcher.type("stop")
        watcher.hear("it steers nothing.")
        watcher.type("quit")
        watcher.hear("To come back to it")
        assert watcher.wait_for_exit() == 0
    assert owner.is_running()
    steered = run_with("stop\n", "attach", run.name, "--plain")
    assert steered.returncode == 0, steered.stderr
    assert "The training was stopped at step " in steered.stdout
    assert_is_plain(steered.stdout)
    wait_until(lambda: not owner.is_running() or owner.status() == psutil.STATUS_ZOMBIE)


def test_ctrl_d_ends_only_the_listening_and_ctrl_c_saves(runs):
    with training() as listener:
        listener.process.sendeof()
        listener.hear("Ctrl c saves and ends.")
        listener.process.sendcontrol("c")
        assert listener.wait_for_exit() == 130
    finished = events_of(newest_run(runs), "RunFinished")[0]
    assert finished["reason"] == "stopped"
    assert json.loads((newest_run(runs) / "checkpoints" / "last.json").read_text())["step"] == finished["step"]
    assert "and is saved." in listener.said and "Traceback" not in listener.said


def test_without_a_terminal_it_trains_on(runs):
    with training() as listener:
        (run,) = runs.glob("*")
        trainer = psutil.Process(listener.process.pid)
        listener.hang_up()
        wait_until(lambda: len(events_of(run, "TerminalLost")) == 1)
        step = events_of(run, "StepCompleted")[-1]["step"]
        wait_until(lambda: events_of(run, "StepCompleted")[-1]["step"] > step)
        trainer.send_signal(signal.SIGTERM)
        wait_until(lambda: not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE)
    assert events_of(run, "RunFinished")[0]["reason"] == "stopped"


def test_a_job_in_the_background_is_not_stopped_for_what_is_typed_elsewhere(runs):
    with Listener(program=["bash", "--norc", "-i"]) as shell:
        shell.type(f"{' '.join(PROGRAM)} train quick-test --plain {' '.join(ENDLESS_RUN)} &")
        shell.hear("Step ", 90)
        shell.type("true")
        shell.type("echo $((6 * 7))")
        shell.hear("42")
        (run,) = runs.glob("*")
        trainer = psutil.Process(json.loads((run / "status.json").read_text())["pid"])
        time.sleep(1)
        assert trainer.status() != psutil.STATUS_STOPPED
        shell.type("fg")
        shell.type("stop")
        shell.hear("The training was stopped at step ")
        wait_until(lambda: not trainer.is_running())  # what is typed before is read by it, not by the shell
        shell.type("exit")
        shell.wait_for_exit()


def test_plain_is_refused_together_with_other_forms():
    for arguments in (("train", "quick-test", "--plain", "--json"), ("attach", "--plain", "--headless")):
        done = run_with("", *arguments)
        assert done.returncode == 2 and "choose one" in done.stderr
    done = run_with("", "--plain", "train", "quick-test")
    assert done.returncode == 2 and "--plain stands after the command" in done.stderr


def test_plain_needs_neither_textual_nor_torch_to_begin():
    code = (
        "import sys\n"
        "sys.argv = ['tui-trainer', '--plain']\n"
        "from tui_trainer.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], input="", capture_output=True, text=True, check=True)
    assert not {"torch", "textual"} & set(done.stdout.splitlines()[-1].split())
