"""The fast path takes a line only when the codec would, and makes the same of it."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.event_codec import LARGEST_INTEGER, decode, encode
from tui_trainer.events import PhaseStarted, Record, StepCompleted
from tui_trainer.runs.step_lines import StepBlock, read_in_blocks

RECORDINGS = Path(__file__).parent.parent / "recordings"
COLUMNS = [each.name for each in fields(StepBlock) if each.name not in ("segment", "last")]
COUNTS = st.integers(0, 10**12)
MEASURED = st.floats(0, 1e12) | st.floats(0, 1e-3)
STEPS = st.builds(
    StepCompleted,
    step=COUNTS,
    epoch=COUNTS,
    tokens_seen=COUNTS,
    elapsed_seconds=MEASURED,
    train_loss=MEASURED,
    train_perplexity=MEASURED | st.just(float("inf")),
    train_accuracy=MEASURED,
    learning_rate=MEASURED,
    grad_norm=MEASURED | st.none(),
    is_clipped=st.booleans(),
    tokens_per_second=MEASURED,
    peak_memory_bytes=COUNTS,
)
TIMES = st.integers(0, 2 * 10**12).map(lambda milliseconds: milliseconds / 1000)
RECORDS = st.builds(Record, TIMES, st.integers(0, 2), STEPS | st.just(PhaseStarted("saving")))
LINE = (
    b'{"v":1,"time":1795453688.484,"segment":0,"event":"StepCompleted","step":10,"epoch":1,"tokens_seen":2560,'
    b'"elapsed_seconds":0.589,"train_loss":6.8,"train_perplexity":981.25,"train_accuracy":0.01,'
    b'"learning_rate":8.8e-05,"grad_norm":2.4,"is_clipped":true,"tokens_per_second":18720.79,'
    b'"peak_memory_bytes":400000000}\n'
)
NO_NUMBERS = ["null", "true", '"1"', "[1]", "{}", "", "1,2", "1}", "1/2", "S", "f", "١", "0.1e", "0.1e-"]
NOT_QUITE_NUMBERS = ["NaN", "Infinity", "-Infinity", "1_000", "0x1", "+1", "007", "01.5", "1.", ".5", "1-05"]
OTHER_NUMBERS = ["-1", "-0.0", "1E5", "1e5", "1.5e+07", "2.5e-3", "1.5", "3", "0", " 1", "1\t", "99999999999.5"]
EXTREMES = ["1e999", "1e-400", "9" * 20, "9" * 400, "9" * 400 + ".5", "0." + "3" * 400, "253370764800.0"]
EXTREMES += ["  -" + "9" * 19, " \t" + "9" * 25, "9" * 19 + "e5", str(LARGEST_INTEGER), str(LARGEST_INTEGER + 1)]


def flat(text: bytes) -> list[Record | tuple[float, ...]]:
    """What the fast path makes of some lines: a tuple a step, or the record itself."""
    found: list[Record | tuple[float, ...]] = []
    for part in read_in_blocks(text):
        if isinstance(part, Record):
            found.append(part)
        else:
            found += zip(*(getattr(part, name).tolist() for name in COLUMNS), strict=True)
            assert found[-1] == columns_of(Record(0.0, part.segment, part.last))
    return found


def columns_of(record: Record) -> tuple[float, ...]:
    return tuple(float(getattr(record.event, name)) for name in COLUMNS)


def expect_the_same(text: bytes) -> None:
    expected = [record for line in text.split(b"\n") if (record := decode(line))]
    place = 0
    for part in read_in_blocks(text):
        place += len(part.step) if isinstance(part, StepBlock) else 1
        if isinstance(part, StepBlock):
            assert (part.segment, part.last) == (expected[place - 1].segment, expected[place - 1].event)
    found = flat(text)
    assert len(found) == len(expected)
    for part, record in zip(found, expected, strict=True):
        assert part == (record if isinstance(part, Record) else columns_of(record))


def is_usual(line: bytes) -> bool:
    """Every value is a number that a healthy run measures: a run that diverges has perplexities beyond."""
    return all(value is not None and (type(value) is str or value < 2**53) for value in json.loads(line).values())


def is_fast(line: bytes) -> bool:
    return any(isinstance(part, StepBlock) for part in read_in_blocks(line))


@given(st.lists(RECORDS, max_size=30))
def test_what_a_trainer_writes_is_read_as_the_codec_reads_it(records):
    text = b"".join(map(encode, records))
    expect_the_same(text)


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_steps_of_recorded_runs_take_the_fast_path(path):
    text = path.read_bytes()
    expect_the_same(text)
    steps = [line for line in text.splitlines(keepends=True) if b"StepCompleted" in line]
    assert all(is_fast(line) for line in steps if is_usual(line))


def test_a_line_is_fast_when_it_is_as_the_encoder_writes_it():
    assert encode(decode(LINE)) == LINE
    assert is_fast(LINE)


def test_blocks_end_where_another_line_or_a_segment_begins():
    other = encode(Record(1.0, 0, PhaseStarted("saving")))
    later = LINE.replace(b'"segment":0', b'"segment":1')
    parts = list(read_in_blocks(LINE * 3 + other + LINE * 2 + later * 4 + b"junk\n\n" + later))
    assert [len(part.step) if isinstance(part, StepBlock) else part for part in parts] == [3, decode(other), 2, 4, 1]
    assert [part.segment for part in parts] == [0, 0, 0, 1, 1]
    assert list(read_in_blocks(b"")) == []


@given(st.lists(st.sampled_from([LINE, LINE.replace(b"true", b"false")]), min_size=1, max_size=4), st.data())
@settings(max_examples=300)
def test_damaged_bytes_are_read_as_the_codec_reads_them(lines, data):
    text = bytearray(b"".join(lines))
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 2))] = data.draw(
            st.sampled_from(b'0159.,-+eE:"{}\n\r \0Sf') | st.integers(0, 255)
        )
    expect_the_same(bytes(text))


@given(st.data())
@settings(max_examples=300)
def test_bytes_that_are_missing_or_too_many_are_read_as_the_codec_reads_them(data):
    text = LINE * 3
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start, min(len(text) - 1, start + 40)))
    put = data.draw(st.sampled_from([b"", b"1", b"0", b".", b"-", b"e-", b",", b"\n", b'"', b"5,", b"}\n{"]))
    expect_the_same(text[:start] + put + text[end:])


@pytest.mark.parametrize("field", ["v", "time", "segment", "event", *(each.name for each in fields(StepCompleted))])
def test_any_token_in_any_field_is_read_as_the_codec_reads_it(field):
    value = json.dumps(json.loads(LINE)[field]).encode()
    written = b'"%s":%s' % (field.encode(), value)
    assert written in LINE
    for token in NO_NUMBERS + NOT_QUITE_NUMBERS + OTHER_NUMBERS + EXTREMES:
        changed = LINE.replace(written, b'"%s":%s' % (field.encode(), token.encode()))
        expect_the_same(changed)
        expect_the_same(LINE + changed + LINE)


@given(st.permutations(list(json.loads(LINE).items())), st.integers(0, 3), st.dictionaries(st.text(max_size=3), COUNTS))
def test_other_fields_and_another_order_are_read_as_the_codec_reads_them(items, fewer, more):
    line = json.dumps(dict(items[: len(items) - fewer]) | more, separators=(",", ":")).encode() + b"\n"
    expect_the_same(line + LINE)


def test_the_fast_path_is_taken_for_zero_for_one_and_for_powers_of_ten():
    for token in (b"0.0", b"1", b"-1.0", b"1e-05", b"5e-324", b"1e+15", b"9e+15", b"123456789.123456789"):
        assert is_fast(LINE.replace(b"6.8,", token + b","))
    for token in (b"null", b"9223372036854775809", b"-9223372036854775809", b"9007199254740993", b"1e+300", b'"1"'):
        assert not is_fast(LINE.replace(b"6.8,", token + b","))
