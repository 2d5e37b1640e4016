from __future__ import annotations

import os
import threading
import time

import pytest

from tui_trainer.cli.plain_input import MAX_LINE_BYTES, WAITING_LINES, TypedLines


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


def take_all(lines: TypedLines) -> list[str]:
    taken = []
    while not lines.has_ended:
        if (line := lines.take(5)) is not None:
            taken.append(line)
    return taken


def test_lines_come_as_they_are_typed_and_the_last_needs_no_end(pipe):
    reader, writer = pipe
    lines = TypedLines(reader)
    assert lines.take(0.01) is None and not lines.has_ended
    os.write(writer, b"pau")
    assert lines.take(0.05) is None
    os.write(writer, b"se\r\n\nsay " + "의".encode() + b"\nsay \xff\nstop")
    os.close(writer)
    assert take_all(lines) == ["pause", "", "say 의", "say \ufffd", "stop"]


def test_after_the_end_nothing_spins(pipe):
    reader, writer = pipe
    os.close(writer)
    lines = TypedLines(reader)
    assert lines.take(5) is None and lines.has_ended
    started, used = time.monotonic(), time.process_time()
    assert lines.take(0.3) is None and lines.has_ended
    assert time.monotonic() - started >= 0.3 and time.process_time() - used < 0.1
    assert "typed lines" not in {thread.name for thread in threading.enumerate()}


def test_where_there_is_no_input_it_has_ended():
    lines = TypedLines(None)
    assert lines.take(5) is None and lines.has_ended


def test_a_line_without_an_end_does_not_fill_the_memory(pipe):
    reader, writer = pipe
    lines = TypedLines(reader)
    for _ in range(100):
        os.write(writer, b"x" * 4096)
    os.write(writer, b"\nnext\n")
    os.close(writer)
    assert take_all(lines) == ["x" * MAX_LINE_BYTES, "next"]


def test_who_writes_without_end_has_to_wait(pipe):
    reader, writer = pipe
    lines = TypedLines(reader)
    os.set_blocking(writer, False)
    written, until = 0, time.monotonic() + 10
    while time.monotonic() < until:
        try:
            written += os.write(writer, b"help\n" * 100)
        except BlockingIOError:
            time.sleep(0.05)
            try:
                written += os.write(writer, b"help\n" * 100)
            except BlockingIOError:
                break
    assert 5 * WAITING_LINES <= written < 200_000
    assert lines.take(5) == "help"
