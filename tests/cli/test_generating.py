"""`tui-trainer generate`, alone and beside a training."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tiny_runs import tiny_config, trained, write_text

from tui_trainer import places
from tui_trainer.cli.exporting import export
from tui_trainer.cli.generating import print_text
from tui_trainer.cli.writers import TrainingWatch
from tui_trainer.errors import UserError
from tui_trainer.inference.generator import TextGenerator
from tui_trainer.runs.directory import RunDirectory, create_run
from tui_trainer.runs.status import Status, write_status

BUSY = Status(state="running", host=socket.gethostname())
SILENT = {"heartbeat": 1.0}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return trained(
        tiny_config(write_text(tmp_path), training={"max_steps": 2, "eval_interval": 2, "batch_size": 2}),
        tmp_path / "spoken",
    )


@pytest.fixture
def other_run(run: RunDirectory) -> RunDirectory:
    """A run that somebody says something about."""
    return create_run(run.read_config(), "tiny", places.runs_root() / "other", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def asked(monkeypatch) -> list[tuple[bool, float | None]]:
    """What the generator was asked for: to be alone, and at which pace."""
    seen, refresh, write = [], TextGenerator.refresh, TextGenerator.pieces_together

    def watch(generator, prompts, settings, *rest, **named):
        seen.append([*rest, *named.values()][-1])
        return write(generator, prompts, settings, *rest, **named)

    def watch_refresh(generator, *, is_alone):
        seen.append(is_alone)
        return refresh(generator, is_alone=is_alone)

    monkeypatch.setattr(TextGenerator, "pieces_together", watch)
    monkeypatch.setattr(TextGenerator, "refresh", watch_refresh)
    return seen


def write(run: RunDirectory, tokens: int = 3, samples: int = 1, is_paced: bool = True) -> None:
    print_text(str(run.path), "ab", {"max_new_tokens": tokens, "seed": 1}, "best", samples, is_paced=is_paced)


@pytest.mark.parametrize("samples", [1, 2])
def test_a_training_on_this_machine_comes_first(run, other_run, asked, samples, capsys):
    write_status(other_run.status_file, replace(BUSY, heartbeat=time.time()))
    started = time.monotonic()
    write(run, tokens=7, samples=samples)
    assert time.monotonic() - started > 6 / 20 * samples and asked == [False, 20.0 / samples]
    told = capsys.readouterr()
    assert told.err == (
        f"{other_run.run_id} trains here, so 20 tokens a second; --unpaced writes faster and slows the training down\n"
    )
    assert "[" not in told.out[: 2 * len("ab")], "a pipe gets no decoration"


@pytest.mark.parametrize("has_terminal", [True, False])
def test_one_sees_where_a_text_ends_and_the_next_begins(run, capsys, monkeypatch, has_terminal):
    monkeypatch.setattr("sys.stdout.isatty", lambda: has_terminal)
    settings = {"max_new_tokens": 40, "seed": 1, "temperature": 2.0}
    print_text(str(run.path), "a\n\n=== b", settings, "best", 3, is_paced=True)
    head, *texts = re.split(r"^=== [123] of 3 ===\n", capsys.readouterr().out, flags=re.MULTILINE)
    assert head == "" and len(set(texts)) == 3
    assert all(text.startswith("a\n\n=== b") and text.endswith("\n") for text in texts)
    print_text(str(run.path), "a", settings, "best", 1, is_paced=True)
    assert capsys.readouterr().out.startswith("a"), "one text stands alone"


def test_unpaced_takes_what_it_can_but_does_not_wait_for_the_threads_of_a_training(run, other_run, asked):
    write_status(other_run.status_file, replace(BUSY, heartbeat=time.time()))
    write(run, is_paced=False)
    assert asked == [False, None]


@pytest.mark.parametrize(
    "idle",
    [
        {"is_paused": True},
        {"state": "finished"},
        {"host": "another-host"},
        {"pid": 0},
        {"boot_id": "before"},
        SILENT,
        None,
    ],
    ids=str,
)
def test_what_does_not_compute_here_is_no_reason_to_wait(run, other_run, asked, idle):
    if idle is not None:
        write_status(other_run.status_file, replace(BUSY, **{"heartbeat": time.time(), **idle}))
    write(run)
    assert asked == [True, None] and not TrainingWatch(run).is_training()


def test_a_server_is_sparing_beside_any_training_and_looks_once_a_second(run, other_run, tmp_path, monkeypatch):
    beside_run, beside_export = TrainingWatch(run), TrainingWatch(tmp_path)
    write_status(other_run.status_file, replace(BUSY, heartbeat=time.time()))
    assert beside_run.is_training() and beside_export.is_training()
    write_status(other_run.status_file, replace(BUSY, state="finished"))
    assert beside_export.is_training(), "not looked again yet"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.1)
    assert not beside_run.is_training() and not beside_export.is_training()


def test_what_was_seen_last_stands_when_nothing_can_be_seen(run, monkeypatch):
    """As when the folder that the server was started in is gone."""
    watch = TrainingWatch(run)
    write_status(run.status_file, replace(BUSY, heartbeat=time.time()))
    assert watch.is_training()

    def fail():
        raise FileNotFoundError

    monkeypatch.setattr("tui_trainer.cli.writers.list_runs", fail)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.1)
    assert watch.is_training()


def test_a_folder_has_one_model(run, tmp_path):
    export(str(run.path), "safetensors", tmp_path / "out", None, "best")
    with pytest.raises(UserError, match=r"--checkpoint last: .*out is no run"):
        print_text(str(tmp_path / "out"), "ab", {}, "last", 1, is_paced=True)


def test_a_prompt_that_does_not_fit_is_said(run, capsys):
    context = run.read_config().model.context_length
    print_text(str(run.path), "ab" * context, {"max_new_tokens": 1}, "best", 1, is_paced=True)
    assert capsys.readouterr().err == f"of the prompt only the last {context} tokens fit\n"
