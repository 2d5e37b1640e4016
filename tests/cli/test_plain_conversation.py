from __future__ import annotations

import json
import os
import time

import pytest

from tui_trainer.cli.plain_conversation import Conversation
from tui_trainer.cli.plain_input import TypedLines
from tui_trainer.event_codec import encode
from tui_trainer.events import Record, RunFinished, RunPaused, RunStarted, StepCompleted
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.status import Status

START = RunStarted("r", 1000, 100, 256, 50.0, 1, 1, 1, 1, 1, "cpu", "fp32")


@pytest.fixture
def typed():
    reader, writer = os.pipe()
    yield reader, lambda text: os.write(writer, text.encode())
    os.close(writer)


def log(run, *events, segment: int = 0) -> None:
    with run.event_log.open("ab") as file:
        file.write(b"".join(encode(Record(time.time(), segment, event)) for event in events))


def step(number: int) -> StepCompleted:
    return StepCompleted(
        number, 1, 256, 1.0, 4.2, 66.0, 0.1, 3e-4, 1.0, is_clipped=False, tokens_per_second=2560.0, peak_memory_bytes=0
    )


def ends_after(looks: int):
    """Is over at the so-manieth look."""
    left = iter(range(looks))
    return lambda: next(left, None) is None


def test_what_is_typed_too_early_waits_for_the_training(make_run, training, typed, capsys):
    reader, write = typed
    conversation = Conversation(training, TypedLines(reader))
    write("status\nhelp\nbest\n")
    conversation.follow(ends_after(5))
    assert [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()] == ["The", "You", "The"]
    training.run_dir = make_run()
    log(training.run_dir, START, RunPaused(0))
    conversation.follow(ends_after(1))
    assert capsys.readouterr().out.splitlines() == [
        "The training begins: run r, 1,000 parameters, 100 steps, on cpu in fp32.",
        "Paused at step 0, which is saved.",
        "Paused at step 0, which is saved.",
        "Step 0 of 100, 0 percent.",
        "There is no evaluation yet.",
    ]


def test_a_stop_does_not_wait(training, typed):
    reader, write = typed
    write("stop\n")
    Conversation(training, TypedLines(reader)).follow(ends_after(3))
    assert training.stops == 1


def test_a_resumed_run_tells_only_what_is_new(make_run, training, capsys):
    training.run_dir = make_run("quick-test")
    log(training.run_dir, RunStarted(**{**START.__dict__, "resumed_from_step": 2244, "max_steps": 3000}), segment=1)
    training.is_running = False
    Conversation(training, TypedLines(None), first_segment=1).follow(lambda: False)
    assert capsys.readouterr().out.splitlines() == ["Going on with run r from step 2,244 of 3,000."]


def test_who_comes_back_hears_no_history_and_then_what_is_new(make_run, training, capsys):
    training.run_dir = make_run()
    log(training.run_dir, START, step(55))
    conversation = Conversation(training, TypedLines(None))
    conversation.catch_up(RunFollower(training.run_dir), lambda: False)
    assert capsys.readouterr().out == ""
    log(training.run_dir, step(65), RunFinished("stopped", 65, 61.0))
    training.is_running = False
    conversation.follow(lambda: False)
    assert capsys.readouterr().out == "The training was stopped at step 65 after 1 minute 1 second, and is saved.\n"


def test_silence_is_told_once_and_so_is_the_next_sign_of_life(make_run, training, capsys):
    training.run_dir = make_run()
    conversation = Conversation(training, TypedLines(None))
    for heartbeat in (time.time() - 20, time.time() - 21, time.time()):
        status = Status(state="running", heartbeat=heartbeat, host="elsewhere")
        training.run_dir.status_file.write_text(json.dumps(status.__dict__))
        conversation.follow(ends_after(1))
    assert capsys.readouterr().out.splitlines() == [
        "There has been no sign of life for 20 seconds.",
        "It is alive again.",
    ]


def test_the_end_of_the_input_is_not_the_end_of_the_training(training):
    conversation = Conversation(training, TypedLines(None))
    started, used = time.monotonic(), time.process_time()
    conversation.follow(ends_after(4))
    assert time.monotonic() - started > 0.4, "it goes on, and does not spin"
    assert time.process_time() - used < 0.2
