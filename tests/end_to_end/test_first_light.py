"""The first minute of a new user, in a real terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import ENDLESS_RUN, SHORT_RUN, Terminal, newest_run

pytestmark = pytest.mark.terminal


def run_command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui_trainer", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def shell(command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False, **options)


def events_of(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_pick_watch_prompt_and_quit():
    with Terminal(*SHORT_RUN) as terminal:
        terminal.wait_for("quick-test")
        assert "choose what to train" in terminal.text
        terminal.press("\r")
        terminal.wait_for("answers (best", 90)
        terminal.press("p", "\x1b[200~a \x1b[31mlog\rof \x1b[201~")
        terminal.wait_for("␛[31mlog⏎of")
        terminal.press("\x15", "A name and ", "\r")
        terminal.wait_for(lambda text: "A name and" in text.split("temperature")[-1])
        terminal.press("\x1b")
        terminal.wait_for("✓ completed", 90)
        terminal.wait_for("q quit")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
    ending = terminal.output[terminal.output.rfind(b"\x1b[?1049l") :].decode()
    assert "completed, step 120 of 120" in ending
    assert "tui_trainer generate " in ending and "tui_trainer resume " in ending
    run = newest_run(Path(os.environ["TUI_TRAINER_RUNS"]))
    told = run_command("generate", str(run), "The ", "--max-new-tokens", "20", "--seed", "1")
    assert told.returncode == 0 and told.stdout.startswith("The ")
    assert run.name in run_command("runs").stdout


def test_quit_in_the_middle_saves_and_resume_goes_on():
    with Terminal("train", "quick-test", *ENDLESS_RUN) as terminal:
        terminal.wait_for("● training", 90)
        terminal.wait_for("tokens / s")
        terminal.press("q")
        terminal.wait_for("stop and save")
        terminal.press("\x1b")
        terminal.wait_for(lambda text: "stop and save" not in text)
        terminal.press("q", "q")
        assert terminal.wait_for_exit() == 0
    run = newest_run(Path(os.environ["TUI_TRAINER_RUNS"]))
    stopped = events_of(run)[-1]
    assert (stopped["event"], stopped["reason"]) == ("RunFinished", "stopped")
    step = stopped["step"]
    resumed = run_command("resume", str(run), "--headless", "--json", "--set", f"training.max_steps={step + 3}")
    assert resumed.returncode == 0, resumed.stderr
    events = [json.loads(line) for line in resumed.stdout.splitlines()]
    assert any(event["event"] == "RunStarted" and event["resumed_from_step"] == step for event in events)
    assert events[-1]["reason"] == "completed" and events[-1]["step"] == step + 3


def test_korean_and_emoji_stream_to_the_screen(tmp_path):
    text = tmp_path / "한글.txt"
    text.write_text("가나다라 마바사 아자차카 🙂🙃 타파하. " * 400)
    settings = (
        "--set",
        "data.tokenizer=bytes",
        "--set",
        "sampling.temperature=0",
        "--set",
        "training.learning_rate=0.01",
    )
    with Terminal("train", "quick-test", "--data", str(text), *SHORT_RUN, *settings) as terminal:
        terminal.wait_for("✓ completed", 90)
        terminal.press("p", "\x15", "가나", "\r")
        terminal.wait_for(lambda shown: "사" in shown.split("temperature")[-1])
        terminal.press("\x1b")
        terminal.wait_for("q quit")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_no_terminal_gives_lines_and_the_same_seed_the_same_text(tmp_path):
    trained = run_command("train", "quick-test", "--run-dir", "R", *SHORT_RUN, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "\x1b" not in trained.stdout
    for word in ("started", "step", "eval", "saved", "best", "bits/byte", "tok/s", "left", "generate", "resume"):
        assert word in trained.stdout
    texts = [
        run_command("generate", "R", "The ", "--max-new-tokens", "30", "--seed", "1", cwd=tmp_path) for _ in range(2)
    ]
    assert texts[0].returncode == 0 and texts[0].stdout == texts[1].stdout
    assert texts[0].stdout.startswith("The ") and len(texts[0].stdout) > 20
    assert texts[0].stderr == ""
    other = run_command("generate", "R", "The ", "--max-new-tokens", "30", "--seed", "2", cwd=tmp_path)
    assert other.stdout != texts[0].stdout
    listed = run_command("runs", cwd="/")
    assert str(tmp_path / "R") in listed.stdout and "completed" in listed.stdout


def test_json_is_the_event_log(tmp_path):
    trained = run_command("train", "quick-test", "--json", "--run-dir", str(tmp_path / "R"), *SHORT_RUN)
    assert trained.returncode == 0
    printed = [json.loads(line) for line in trained.stdout.splitlines()]
    left = [event.pop("seconds_left") for event in printed if event["event"] == "StepCompleted"]
    assert printed == events_of(tmp_path / "R")
    assert left[-1] == 0 and max(filter(None, left)) > 0, "the time left, which the screen shows too"


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_dumb_terminal_gets_lines(kind):
    with Terminal(TERM=kind) as terminal:
        assert terminal.wait_for_exit() == 0
    assert b"quick-test" in terminal.output and b"\x1b[?1049h" not in terminal.output


def test_the_screen_fits_a_small_terminal():
    with Terminal("train", "quick-test", *SHORT_RUN, size=(80, 24)) as terminal:
        terminal.wait_for("✓ completed", 90)
        shown = terminal.wait_for("q quit")
        for word in ("train", "val", "perplexity", "lr", "grad", "tok/s", "prompt", "answers"):
            assert word in shown
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_a_refused_resume_tells_the_reason_and_nothing_else(tmp_path):
    assert run_command("train", "quick-test", "--run-dir", "R", *SHORT_RUN, cwd=tmp_path).returncode == 0
    refused = run_command("resume", "R", "--headless", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "complete at step 120" in refused.stderr
    with Terminal("resume", str(tmp_path / "R")) as terminal:
        assert terminal.wait_for_exit(60) == 2
    assert "complete at step 120" in terminal.output.decode()[-400:]
    assert "stopped" not in run_command("runs").stdout and "completed" in run_command("runs").stdout


@pytest.mark.parametrize("output", [">/dev/full", ">&-", "| head -1"])
def test_an_output_that_takes_nothing_costs_no_run(tmp_path, output):
    command = f"{sys.executable} -m tui_trainer train quick-test --headless --run-dir R {' '.join(SHORT_RUN)} {output}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert events_of(tmp_path / "R")[-1]["reason"] == "completed"


@pytest.mark.parametrize("command", ["presets", "runs"])
def test_a_full_output_is_one_line(command):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m tui_trainer {command} >/dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("standard output: ") and len(done.stderr.splitlines()) == 1
