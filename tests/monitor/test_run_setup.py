from __future__ import annotations

import pytest
from facts import fold, started
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.config import RunConfig
from tui_trainer.event_codec import decode, encode
from tui_trainer.events import Record
from tui_trainer.monitor.run_setup import (
    GROUP_HEAD,
    MAX_GROUPS,
    accumulation,
    base_text,
    batch_split,
    parameter_groups,
    precision_text,
)
from tui_trainer.monitor.safe_text import safe_line

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.just(10**400)
KEYS = st.sampled_from(["name", "optimizer", "tensors", "parameters", "weight_decay", "other"])


def test_a_group_is_read_as_it_was_written():
    group = {"name": "matrices", "optimizer": "adamw", "tensors": 9, "parameters": 393_216, "weight_decay": 0.1}
    (read,) = parameter_groups(started(parameter_groups=[group]).event)
    assert read == ("matrices", "adamw", 9, 393_216, 0.1)
    assert read.cells == ("matrices", "adamw", "9", "393,216", "0.1")


@given(st.lists(st.dictionaries(KEYS, PLAIN | st.lists(PLAIN, max_size=2)) | PLAIN, max_size=30))
def test_no_groups_of_a_log_can_break_a_reader(groups):
    record = decode(encode(Record(1.0, 0, started(parameter_groups=groups).event)))
    read = parameter_groups(record.event)
    assert len(read) <= MAX_GROUPS
    for group in read:
        assert len(group.cells) == len(GROUP_HEAD)
        assert all(safe_line(cell) == cell and "\n" not in cell and len(cell) < 500 for cell in group.cells)


def test_what_a_group_does_not_tell_is_a_dash():
    broken = {"name": 7, "tensors": True, "parameters": -1, "weight_decay": "much"}
    (read,) = parameter_groups(started(parameter_groups=[broken, "x", None]).event)
    assert read.cells == ("–",) * 5


def test_precision_comes_with_its_reason_when_there_is_one():
    assert precision_text(started().event) == "fp32"
    assert (
        precision_text(started(precision="bf16", precision_reason="this GPU has it").event) == "bf16: this GPU has it"
    )


@pytest.mark.parametrize(
    ("micro_batch_size", "split"), [(3, (8, 3)), (8, (8, 8)), (None, None), (0, None), (-2, None), (9, None)]
)
def test_a_batch_is_split_into_micro_batches(micro_batch_size, split):
    config = RunConfig()
    state = fold([started(tokens_per_step=8 * config.model.context_length, micro_batch_size=micro_batch_size)])
    assert batch_split(state, config) == split
    assert accumulation(8, 3) == 3


def test_the_base_is_named_with_what_is_known_of_it():
    base = {"name": "20261124-quick-test", "step": 1200, "val_loss": 3.5}
    assert base_text(started(base=base).event) == "20261124-quick-test, step 1,200, val 3.500 on its own text"
    assert base_text(started(base={"name": "gpt2", "step": None}).event) == "gpt2"
    assert base_text(started().event) is None


@given(st.dictionaries(st.sampled_from(["name", "step", "val_loss", "path"]), PLAIN | st.lists(PLAIN, max_size=2)))
def test_no_base_of_a_log_can_break_a_reader(base):
    text = base_text(decode(encode(Record(1.0, 0, started(base=base).event))).event)
    assert text is None or (safe_line(text) == text and "\n" not in text and len(text) < 600)
