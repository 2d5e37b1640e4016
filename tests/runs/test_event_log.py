from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.event_codec import encode
from tui_trainer.events import AdviceCleared, PhaseStarted, Record, RunFailed
from tui_trainer.runs import event_log
from tui_trainer.runs.event_log import READ_BYTES, EventLogReader, EventLogWriter, last_segment

RECORDINGS = Path(__file__).parent.parent / "recordings"
TEXTS = ["short", "한국어 🙂", "two\nlines\r\u2028\x85", "x" * 300]


def record(number: int, segment: int = 0) -> Record:
    return Record(float(number), segment, RunFailed(TEXTS[number % len(TEXTS)], number, 0.5))


def write(path: Path, records: list[Record], segment: int = 0) -> None:
    times = iter(records)
    writer = EventLogWriter(path, segment, lambda: next(times).time)
    for item in records:
        writer.append(item.event)
    writer.close()


def read_all(reader: EventLogReader, limit: int = READ_BYTES) -> list[Record]:
    found: list[Record] = []
    while more := reader.read(limit):
        found += more
    return found


@pytest.fixture
def log(tmp_path):
    return tmp_path / "events.jsonl"


def test_what_is_written_is_read_in_order_and_only_once(log):
    reader = EventLogReader(log)
    assert reader.read() == []
    write(log, [record(1), record(2)])
    assert reader.read() == [record(1), record(2)]
    assert reader.read() == []
    write(log, [record(3)])
    assert reader.read() == [record(3)]


def test_a_reader_that_looks_at_every_byte_reads_the_same(log):
    """A torn last line means: wait."""
    records = [record(number) for number in range(4)]
    content = b"".join(encode(item) for item in records)
    found, reader = [], EventLogReader(log)
    with log.open("wb", buffering=0) as file:
        for byte in content:
            file.write(bytes([byte]))
            found += reader.read()
    assert found == records
    assert reader.skipped_lines == 0


@given(st.integers(1, 3000), st.lists(st.integers(0, 3), max_size=30))
def test_pieces_of_any_size_give_the_same_records(tmp_path_factory, limit, numbers):
    log = tmp_path_factory.mktemp("log") / "events.jsonl"
    records = [record(number) for number in numbers]
    write(log, records)
    assert read_all(EventLogReader(log), limit) == records


@pytest.mark.parametrize("name", ["quick-test", "overfitting"])
def test_no_line_of_a_recorded_run_is_skipped(name):
    path = RECORDINGS / f"{name}.jsonl"
    reader = EventLogReader(path)
    assert len(read_all(reader)) == len(path.read_bytes().splitlines())
    assert reader.skipped_lines == 0


def test_one_read_takes_a_bounded_share_however_long_the_log_is(log):
    line = encode(record(3))
    log.write_bytes(line * (2 * READ_BYTES // len(line)))
    reader = EventLogReader(log)
    assert len(reader.read()) <= READ_BYTES // len(line)
    assert len(reader.read(10)) == 1


def test_a_log_reopened_after_a_tear_loses_only_the_torn_line(log):
    line = encode(record(3))
    for cut in (1, 2, 30, len(line) // 2, len(line) - 2, len(line) - 1):
        log.write_bytes(encode(record(0)) + line[:cut])
        write(log, [record(1), record(2)], segment=1)
        reader = EventLogReader(log)
        found = [item.time for item in reader.read()]
        # All but its newline: that line is whole.
        assert found == ([0.0, 3.0, 1.0, 2.0] if cut == len(line) - 1 else [0.0, 1.0, 2.0])
        assert reader.skipped_lines == (0 if cut == len(line) - 1 else 1)


def test_a_whole_log_is_not_given_an_empty_line(log):
    write(log, [record(1)])
    write(log, [record(2)])
    assert log.read_bytes() == encode(record(1)) + encode(record(2))


@contextmanager
def room_for(size: int):
    """The disk is full after so many bytes of a file; Python ignores the signal and gets an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("extra", [0, 1, 50])
def test_a_full_disk_costs_no_record(log, extra):
    times = count(1)
    writer = EventLogWriter(log, 0, lambda: float(next(times)))
    writer.append(AdviceCleared("a", 1))
    with room_for(log.stat().st_size + extra):
        writer.append(AdviceCleared("b", 2))
        writer.append(AdviceCleared("c", 3))
        assert not writer.flush()
        assert [item.event for item in EventLogReader(log).read()] == [AdviceCleared("a", 1)]
    assert writer.flush()
    writer.append(AdviceCleared("d", 4))
    writer.close()
    assert [item.event for item in EventLogReader(log).read()] == [
        AdviceCleared(rule, step) for step, rule in enumerate("abcd", 1)
    ]


def test_a_record_after_a_crash_on_a_full_disk_is_not_glued_to_the_torn_one(log):
    writer = EventLogWriter(log, 0, lambda: 1.0)
    writer.append(AdviceCleared("a", 1))
    with room_for(log.stat().st_size + 9):
        writer.append(AdviceCleared("b", 2))
        writer.close()
    write(log, [record(3)])
    assert [item.event for item in EventLogReader(log).read()] == [AdviceCleared("a", 1), record(3).event]


def test_lines_of_others_are_skipped_and_counted(log):
    log.write_bytes(b"not json\n\n" + encode(record(1)) + b'{"event":"FromTheFuture","time":1,"segment":0}\n')
    reader = EventLogReader(log)
    assert reader.read() == [record(1)]
    assert reader.skipped_lines == 2


@pytest.mark.parametrize("how", ["truncated", "replaced"])
def test_a_log_that_begins_anew_is_read_from_its_start(log, tmp_path, how):
    write(log, [record(1), record(2)])
    reader = EventLogReader(log)
    reader.read()
    if how == "truncated":
        log.write_bytes(b"")
        write(log, [record(0)])
    else:
        write(tmp_path / "new", [record(0), record(1), record(2), record(3)])
        (tmp_path / "new").replace(log)
    assert reader.read()[0] == record(0)


def mirror(log: Path, content: bytes) -> None:
    """Puts a copy there as rsync does."""
    copy = log.with_name(".copy")
    copy.write_bytes(content)
    copy.replace(log)


@pytest.mark.parametrize("begins", ["start", "end", "last"])
def test_a_mirror_of_a_growing_log_is_read_on(log, begins):
    lines = [encode(record(number)) for number in range(60)]
    mirror(log, b"".join(lines[:20]))
    reader = EventLogReader(log, from_end=begins == "end")
    if begins == "last":
        assert reader.skip_to_last(len(lines[19]) + 1)
    found = read_all(reader)
    for copied in range(20, 61):
        mirror(log, b"".join(lines)[: len(b"".join(lines[:copied])) + copied % 7])
        found += read_all(reader)
    assert found == [record(number) for number in range({"start": 0, "end": 20, "last": 19}[begins], 60)]
    assert (reader.logs, reader.skipped_lines) == (1, 0)


def test_an_older_copy_is_waited_out(log):
    lines = [encode(record(number)) for number in range(9)]
    reader, found = EventLogReader(log), []
    for copied in (5, 3, 3, 0, 5, 6, 1, 9):
        mirror(log, b"".join(lines[:copied]))
        found += reader.read()
        assert reader.unread_bytes == 0
    assert found == [record(number) for number in range(9)]
    assert reader.logs == 1


def test_a_run_that_was_put_back_and_trains_again_is_read_from_its_start(log):
    """Its log is a part of what was read, but no copy of it: it grows in place."""
    write(log, [record(number) for number in range(9)])
    reader = EventLogReader(log)
    reader.read()
    mirror(log, b"".join(encode(record(number)) for number in range(3)))
    assert reader.read() == []
    write(log, [record(7)], segment=1)
    assert [item.time for item in reader.read()] == [0.0, 1.0, 2.0, 7.0]
    assert reader.logs == 2


@pytest.mark.parametrize("is_in_place", [True, False])
def test_another_log_that_begins_alike_is_another(log, is_in_place):
    same = b"".join(encode(record(number)) for number in range(30))
    log.write_bytes(same + encode(record(30)))
    reader = EventLogReader(log)
    read_all(reader)
    other = same + encode(record(34)) + encode(record(35))
    log.write_bytes(other) if is_in_place else mirror(log, other)
    assert len(read_all(reader)) == 32
    assert reader.logs == 2


def test_a_mirror_costs_no_second_reading(log, monkeypatch):
    """It is known by a few bytes, however long the log is."""
    lines = [encode(record(number)) for number in range(2000)]
    mirror(log, b"".join(lines[:-1]))
    reader, taken = EventLogReader(log), []
    read_all(reader)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *where: taken.append(where[1]) or pread(*where))
    mirror(log, b"".join(lines))
    assert reader.read() == [record(1999)]
    assert sum(taken) <= 4 * event_log.MARK_BYTES


@pytest.fixture
def short_lines(monkeypatch):
    """A line of a hundred bytes is endless."""
    monkeypatch.setattr(event_log, "MAX_LINE_BYTES", 100)


def line_of(length: int, time: float) -> bytes:
    """A record that takes so many bytes, without its line end."""
    line = encode(Record(time, 0, PhaseStarted("")))[:-1]
    return line.replace(b'"phase":"', b'"phase":"' + b"x" * (length - len(line)))


@pytest.mark.parametrize("limit", [1, 7, 99, 100, 101, 150, 10_000])
@pytest.mark.parametrize("length", [98, 99, 100, 101, 350])
def test_a_line_without_an_end_fills_no_memory_and_hides_no_other(log, short_lines, limit, length):
    lines = [line_of(90, 0.0), line_of(length, 1.0), line_of(90, 2.0), line_of(length, 3.0), line_of(90, 4.0)]
    log.write_bytes(b"".join(line + b"\n" for line in lines))
    reader, times = EventLogReader(log), []
    while reader.offset < log.stat().st_size:  # a look at an endless line gives no records
        times += [item.time for item in reader.read(limit)]
    assert times == ([0.0, 1.0, 2.0, 3.0, 4.0] if length < 100 else [0.0, 2.0, 4.0])
    assert reader.skipped_lines == 5 - len(times)
    reader = EventLogReader(log)
    while reader.offset < log.stat().st_size:
        assert len(reader.read_text(limit)) <= max(limit, 100)


def test_an_endless_line_is_passed_over_while_it_grows(log, short_lines):
    reader = EventLogReader(log)
    with log.open("ab", buffering=0) as file:
        file.write(encode(record(0)) + b"x" * 60)
        assert reader.read() == [record(0)]
        for grown in (0, 60, 60, 60):
            file.write(b"x" * grown)
            assert reader.read() == []
        assert (reader.unread_bytes, reader.skipped_lines) == (0, 1)
        file.write(b"x\n" + encode(record(0)))
        assert reader.read() == [record(0)]
    assert reader.skipped_lines == 1


def test_a_new_log_in_place_of_an_endless_line_is_read_from_its_start(log, short_lines):
    log.write_bytes(b"x" * 300)
    reader = EventLogReader(log)
    while reader.offset < 300:
        reader.read()
    log.write_bytes(encode(record(0)))
    assert reader.read() == [record(0)]


@given(st.integers(1, 3000), st.integers(0, 4))
def test_a_log_can_be_read_as_if_it_ended_earlier(tmp_path_factory, limit, count):
    log = tmp_path_factory.mktemp("log") / "events.jsonl"
    lines = [encode(record(number)) for number in range(5)]
    log.write_bytes(b"".join(lines))
    end, reader, found = len(b"".join(lines[:count])), EventLogReader(log), b""
    while text := reader.read_text(limit, end):
        found += text
    assert (found, reader.offset) == (b"".join(lines[:count]), end)
    assert reader.read_text(limit, end - 1) == reader.read_text(limit, 0) == b""
    assert b"".join(iter(reader.read_text, b"")) == b"".join(lines[count:])


def test_the_end_of_a_log_can_be_read_without_the_rest(log):
    lines = [encode(record(number)) for number in range(5)]
    log.write_bytes(b"".join(lines))
    for size in (len(lines[4]) + 1, len(lines[4]) + len(lines[3])):
        reader = EventLogReader(log)
        assert reader.skip_to_last(size)
        assert reader.read() == [record(4)]
        assert reader.logs == 1
    with log.open("ab") as file:
        file.write(lines[0][:-1])
    reader = EventLogReader(log)
    assert not reader.skip_to_last(len(lines[0]) - 1), "a torn line"
    assert reader.read()[0] == record(0)
    log.unlink()
    assert not reader.skip_to_last(1000)


def test_each_log_that_takes_the_place_of_another_is_counted(log):
    reader = EventLogReader(log)
    assert (reader.read(), reader.logs) == ([], 0)
    write(log, [record(1), record(2)])
    reader.read()
    reader.read()
    assert reader.logs == 1
    log.write_bytes(encode(record(1)))
    reader.read()
    assert reader.logs == 2


def test_the_last_segment_is_found_past_torn_and_foreign_lines(log):
    assert last_segment(log) == -1
    log.write_bytes(b"")
    assert last_segment(log) == -1
    write(log, [record(1)], segment=4)
    with log.open("ab") as file:
        file.write(b'junk\n{"v":1,"time":3,"segm')
    assert last_segment(log) == 4


def test_the_last_segment_of_a_long_log_is_at_its_end(log):
    old, new = Record(1.0, 0, PhaseStarted("training")), Record(1.0, 9, PhaseStarted("training"))
    log.write_bytes(encode(old) * (2 * READ_BYTES // len(encode(old))) + encode(new))
    assert last_segment(log) == 9


@pytest.mark.parametrize("end", [b"\n", b"", b'\n{"v":1,"time":3,"segm'])
def test_the_last_segment_is_found_however_long_the_last_line_is(log, end):
    """A sample of a whole context is longer than what is read at once."""
    long = Record(2.0, 3, PhaseStarted("x" * 1_000_000))
    assert len(encode(long)) > 3 * READ_BYTES
    log.write_bytes(encode(Record(1.0, 2, PhaseStarted("a"))) + encode(long)[:-1] + end)
    assert last_segment(log) == 3
    log.write_bytes(encode(Record(1.0, 2, PhaseStarted("a"))) + encode(long)[:900_000])
    assert last_segment(log) == 2, "the long one is torn"


def test_the_last_segment_is_found_behind_an_endless_line(log, monkeypatch):
    monkeypatch.setattr(event_log, "READ_BYTES", 1000)
    monkeypatch.setattr(event_log, "MAX_LINE_BYTES", 5000)
    for length in (4000, 5000, 20_500):
        log.write_bytes(encode(Record(1.0, 2, PhaseStarted("a"))) + b"\0" * length)
        assert last_segment(log) == 2
