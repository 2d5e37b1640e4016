from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from types import SimpleNamespace

import pytest

from tui_trainer.cli import attaching, plain, screen
from tui_trainer.cli.attached_run import AttachedRun
from tui_trainer.cli.attaching import attach
from tui_trainer.cli.plain_input import TypedLines
from tui_trainer.events import RunFinished
from tui_trainer.monitor.backfill import Backfill
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.runs.directory import RunDirectory

END = RunFinished("completed", 9000, 60.0)


def test_each_line_of_a_long_log_comes_once_and_in_order(make_long_run, capsys):
    run = make_long_run(END)
    assert attach(str(run.path), is_readonly=False, headless=False, json=True) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    written = [json.loads(line) for line in run.event_log.read_text().splitlines()]
    assert [line["time"] for line in printed] == [line["time"] for line in written]
    assert [line["event"] for line in printed] == [line["event"] for line in written]


def test_the_lines_for_people_begin_with_the_beginning_too(make_long_run, capsys):
    assert attach(str(make_long_run(END).path), is_readonly=False, headless=True, json=False) == 0
    lines = [line[10:] for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("started r") and lines[-1].startswith("ended   completed")
    assert len([line for line in lines if line.startswith("eval ")]) == 1
    assert len([line for line in lines if line.startswith("step ")]) > 40


def test_each_line_of_a_mirrored_run_comes_once(make_long_run, monkeypatch, capsys):
    """Its log is replaced by a longer copy at each look, once by an older one."""
    monkeypatch.setattr(attaching, "POLL_SECONDS", 0.0)
    run = make_long_run(END)
    lines = run.event_log.read_bytes().splitlines(keepends=True)
    copies = iter([3, 40, 41, 30, 200, 200, len(lines)])

    def copy_next(attached: AttachedRun) -> bool:
        copied = next(copies, None)
        if copied:
            copy = run.path / ".events"
            copy.write_bytes(b"".join(lines[:copied]))
            copy.replace(run.event_log)
        return copied is not None

    monkeypatch.setattr(AttachedRun, "is_alive", copy_next)
    assert attach(str(run.path), is_readonly=False, headless=True, json=True) == 0
    printed = [json.loads(line)["time"] for line in capsys.readouterr().out.splitlines()]
    assert printed == [json.loads(line)["time"] for line in lines]


def test_it_ends_when_nobody_reads_any_more(make_long_run, monkeypatch):
    """As `attach --json | head`, while the run goes on."""
    monkeypatch.setattr(AttachedRun, "is_alive", lambda self: True)
    run = make_long_run()
    reading, writing = os.pipe()
    os.close(reading)
    pipe = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert attach(str(run.path), is_readonly=False, headless=False, json=True) == 0
    sys.stdout.close()
    with contextlib.suppress(BrokenPipeError):  # what it still holds
        pipe.close()


def test_who_comes_back_hears_of_an_evaluation_long_ago(make_long_run, capsys):
    assert plain._attach(make_long_run(), TypedLines(None), is_readonly=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "The best is step 1: validation loss 4.30, perplexity 73.7; it is saved." in lines
    assert "To let its model write, run this:" in lines


def test_the_goodbye_of_the_screen_knows_the_best_and_the_end_and_folds_no_history(make_long_run, monkeypatch, capsys):
    """A person who leaves waits for the prompt of the shell."""
    folded = []
    monkeypatch.setattr(Backfill, "fold", lambda self, end: folded.append(end))
    run = make_long_run(END)
    run.checkpoints.mkdir()
    (run.checkpoints / "best.json").write_text('{"step": 1}')
    (run.checkpoints / "step-00000001.json").write_text('{"metrics": {"val_loss": 4.3}}')
    follower = RunFollower(run)
    follower.poll()
    shown, earlier = AttachedRun(run), AttachedRun(RunDirectory(run.path.parent / "earlier"))
    shutil.copytree(run.path, earlier.run_dir.path)
    monitor = SimpleNamespace(follower=follower, training=shown)
    app = SimpleNamespace(monitor=monitor, trainings=[earlier, shown], return_code=0)
    assert screen._say_goodbye(app, SimpleNamespace(training=None), None) == 0
    out = capsys.readouterr().out
    assert folded == []
    assert out.count("completed, step 9,000 of 10,000") == 2 and "/earlier" in out
    assert out.count("  best checkpoint ") == out.count("val loss 4.300") == out.count("  generate  ") == 2


def test_who_leaves_while_a_long_history_is_read_aloud_does_not_wait_for_it(make_long_run, monkeypatch, capsys):
    monkeypatch.setattr(Backfill, "fold", lambda self, end: pytest.fail("folded after it was over"))
    follower = RunFollower(make_long_run(END))
    follower.poll()
    plain._say_goodbye(follower)
    assert "The run is kept here:" in capsys.readouterr().out
