from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.event_codec import decode, encode
from tui_trainer.events import (
    EVENTS,
    AdviceRaised,
    ControlApplied,
    ControlDiscarded,
    EvaluationCompleted,
    HardwareSampled,
    MicroBatchReduced,
    PhaseStarted,
    Record,
    RunFailed,
    RunStarted,
    SampleGenerated,
    StepCompleted,
    StepSkipped,
)

INTEGERS = st.integers(0, 2**53)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
# Lone surrogates come from file names that are no UTF-8: only the lower half, so that no two make a character.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(categories=["Cs"], min_codepoint=0xDC00))
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
VALUES = {
    "str": TEXTS,
    "int": INTEGERS,
    "float": FLOATS,
    "bool": st.booleans(),
    "int | None": st.none() | INTEGERS,
    "float | None": st.none() | FLOATS,
    "dict[str, Any]": st.dictionaries(st.text(max_size=5), PLAIN, max_size=3),
    "list[dict[str, Any]]": st.lists(st.dictionaries(st.text(max_size=5), PLAIN, max_size=3), max_size=2),
    "dict[str, float]": st.dictionaries(st.text(max_size=5), FLOATS, max_size=3),
    "Any": PLAIN,
}
STEP = StepCompleted(
    step=3,
    epoch=1,
    tokens_seen=768,
    elapsed_seconds=0.5,
    train_loss=4.2,
    train_perplexity=66.7,
    train_accuracy=0.1,
    learning_rate=1e-3,
    grad_norm=0.9,
    is_clipped=False,
    tokens_per_second=512.0,
    peak_memory_bytes=10**9,
)


def events(kind):
    return st.builds(kind, **{field.name: VALUES[field.type] for field in fields(kind)})


TIMES = st.integers(0, 2 * 10**12).map(lambda milliseconds: milliseconds / 1000)
RECORDS = st.builds(Record, TIMES, st.integers(0, 99), st.one_of([events(kind) for kind in EVENTS.values()]))


def payload_of(event) -> dict[str, object]:
    return json.loads(encode(Record(1.0, 0, event)))


def decode_with(fact, **changes):
    return decode(json.dumps(payload_of(fact) | changes).encode())


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
def test_every_event_comes_back_as_it_was_from_one_line(kind):
    @settings(max_examples=40)
    @given(st.builds(Record, TIMES, st.integers(0, 99), events(kind)))
    def check(record):
        line = encode(record)
        assert line.endswith(b"\n")
        assert len(line.splitlines()) == 1
        assert decode(line) == record

    check()


def test_a_line_is_what_the_contract_says():
    assert encode(Record(1.23456, 2, PhaseStarted("evaluating", 6))) == (
        b'{"v":1,"time":1.235,"segment":2,"event":"PhaseStarted","phase":"evaluating","total":6}\n'
    )
    assert "한국어 🙂".encode() in encode(Record(0.0, 0, RunFailed("한국어 🙂", 1, 0.0)))


def test_a_file_name_that_is_no_utf8_can_be_told_of():
    failed = Record(0.0, 0, RunFailed("caf\udce9.txt: no such file", 1, 0.0))
    assert decode(encode(failed)) == failed
    encode(failed).decode("utf-8")


def test_unknown_events_are_skipped_and_unknown_fields_ignored():
    assert decode_with(STEP, event="StepImagined") is None
    assert decode_with(STEP, v=2, colour="red", step=4) == Record(1.0, 0, replace(STEP, step=4))


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
def test_a_line_without_one_of_its_fields_is_skipped_unless_the_field_has_a_default(kind):
    optional = {
        RunStarted: {"resumed_from_step", "precision_reason", "micro_batch_size", "baseline_loss", "parameter_groups"}
        | {"learning_rate_factor", "is_text_changed", "base"},
        PhaseStarted: {"total"},
        StepSkipped: {"loss_scale"},
        MicroBatchReduced: {"phase"},
        ControlDiscarded: {"reason"},
        ControlApplied: {"max_steps", "learning_rate_factor"},
        EvaluationCompleted: {"val_loss_error", "is_noise"},
        AdviceRaised: {"until"},
        SampleGenerated: {"tokens", "quoted_tokens", "quote"},
        HardwareSampled: {"gpu_percent", "gpu_memory_bytes", "gpu_memory_total_bytes"},
    }.get(kind, set())
    sample = {"str": "x", "int": 1, "float": 1.5, "bool": True, "dict[str, Any]": {}, "dict[str, float]": {}}
    sample["list[dict[str, Any]]"] = []
    event = kind(**{field.name: sample.get(field.type) for field in fields(kind)})
    for missing in ("time", "segment", "event", *asdict(event)):
        payload = payload_of(event)
        del payload[missing]
        decoded = decode(json.dumps(payload).encode())
        assert (decoded is not None) == (missing in optional)


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "3"},
        {"step": 2**64},
        {"train_loss": 10**400},
        {"step": 3.0},
        {"step": True},
        {"step": None},
        {"train_loss": "low"},
        {"train_loss": [1]},
        {"learning_rate": None},
        {"is_clipped": 1},
        {"time": None},
        {"time": -1},
        {"time": 1e300},
        {"time": math.nan},
        {"train_loss": math.inf},
        {"tokens_per_second": math.nan},
        {"segment": 1.5},
        {"event": ["StepCompleted"]},
    ],
    ids=str,
)
def test_a_value_that_readers_could_not_show_makes_the_line_unreadable(changes):
    assert decode_with(STEP) is not None
    assert decode_with(STEP, **changes) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_null_and_is_flagged(value):
    event = replace(STEP, train_loss=value, grad_norm=value)
    payload = payload_of(event)
    assert (payload["train_loss"], payload["grad_norm"], payload["non_finite"]) == (None, None, True)
    assert decode_with(event) == Record(1.0, 0, replace(STEP, train_loss=None, grad_norm=None))
    assert "non_finite" not in payload_of(STEP)
    assert "non_finite" not in payload_of(replace(STEP, train_loss=None))


def test_what_is_no_number_is_found_inside_of_values_too():
    assert payload_of(AdviceRaised("r", "note", "e", "m", 1, {"rise": math.nan, "best": 1.0})) | {"time": 0} == {
        "v": 1, "time": 0, "segment": 0, "event": "AdviceRaised", "rule": "r", "level": "note", "evidence": "e",
        "remedy": "m", "step": 1, "values": {"rise": None, "best": 1.0}, "until": "", "non_finite": True,
    }  # fmt: skip
    assert payload_of(ControlApplied("1", "change", [{"x": math.inf}], "me", 1))["value"] == [{"x": None}]
    assert "non_finite" not in payload_of(SampleGenerated(1, "p", "t", {"stop": ("a", "b")}))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(line):
    assert decode(line) is None or isinstance(decode(line), Record)


@given(RECORDS, st.data())
def test_a_damaged_line_never_raises(record, data):
    line = bytearray(encode(record))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    decode(bytes(line))


@given(RECORDS, PLAIN, st.data())
def test_any_value_in_any_field_never_raises(record, value, data):
    payload = json.loads(encode(record))
    payload[data.draw(st.sampled_from(sorted(payload)))] = value
    decode(json.dumps(payload).encode())


@pytest.mark.parametrize("line", [b"", b"\n", b"null", b"[]", b'"x"', b"{}", b"[" * 100_000, b'{"time":' + b"9" * 5000])
def test_other_json_is_no_record(line):
    assert decode(line) is None
