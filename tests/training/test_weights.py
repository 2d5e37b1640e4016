"""Weights by their names: which they are, and how far they moved."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.config import ModelConfig
from tui_trainer.model import GPT
from tui_trainer.model.mismatches import find_mismatches
from tui_trainer.training.weights import ALL_WEIGHTS, PARTS, fingerprint, relative_changes

SHAPE = {"n_layer": 2, "n_head": 2, "n_embd": 16, "context_length": 8}


def weights(architecture: str = "gpt2", vocab_size: int = 20, **changes) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return GPT(ModelConfig(architecture=architecture, **(SHAPE | changes)), vocab_size).state_dict()


@given(st.floats(0.001, 100))
def test_weights_that_are_scaled_moved_by_as_much(factor):
    before = {name: tensor + 0.1 for name, tensor in weights().items()}
    changes = relative_changes(before, {name: tensor * (1 + factor) for name, tensor in before.items()})
    assert changes.keys() == {ALL_WEIGHTS, *PARTS} - {"head"}
    assert all(change == pytest.approx(factor, rel=1e-3) for change in changes.values())


@pytest.mark.parametrize("architecture", ["gpt2", "modern"])
def test_every_weight_is_in_one_part(architecture):
    before = weights(architecture)
    for name in before:
        after = before | {name: before[name] + 1}
        changes = relative_changes(before, after)
        assert [change > 0 for change in changes.values()].count(True) == 2, name
        moved = math.sqrt(before[name].numel())
        length = math.sqrt(sum(float(tensor.double().square().sum()) for tensor in before.values()))
        assert changes[ALL_WEIGHTS] == pytest.approx(moved / length, rel=1e-5)


def test_cropped_positions_did_not_move_and_other_shapes_cannot_be_compared():
    before = weights()
    assert set(relative_changes(before, before | {"wpe.weight": before["wpe.weight"][:3]}).values()) == {0.0}
    assert relative_changes(before, weights(vocab_size=21)) == {}
    assert relative_changes(before, weights("modern")) == {}


def test_a_fingerprint_tells_values_and_names_apart():
    one = weights()
    assert fingerprint(one) == fingerprint(dict(reversed(one.items()))) == fingerprint(weights())
    other = one | {"wte.weight": one["wte.weight"].clone().index_fill_(0, torch.tensor([0]), 0.5)}
    assert fingerprint(other) != fingerprint(one)


def test_mismatches_name_the_key_and_both_shapes():
    config = ModelConfig(**SHAPE)
    found = weights() | {"extra": torch.zeros(2, 3)}
    del found["wpe.weight"]
    assert find_mismatches(config, 20, weights()) == []
    assert find_mismatches(config, 20, found) == [
        "extra 2×3 instead of missing",
        "wpe.weight missing instead of 8×16",
    ]
