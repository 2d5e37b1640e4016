from __future__ import annotations

import pytest
import torch

from tui_trainer import estimates
from tui_trainer.config import ModelConfig, RunConfig, parse_config
from tui_trainer.model import GPT


@pytest.mark.parametrize("architecture", ["gpt2", "modern"])
@pytest.mark.parametrize(
    ("layers", "heads", "width", "context", "vocab"),
    [(1, 1, 2, 1, 1), (2, 4, 128, 64, 1024), (3, 2, 36, 7, 257), (12, 12, 768, 1024, 50_257)],
)
def test_the_count_is_that_of_the_real_network(architecture, layers, heads, width, context, vocab):
    config = ModelConfig(architecture=architecture, n_layer=layers, n_head=heads, n_embd=width, context_length=context)
    with torch.device("meta"):
        network = GPT(config, vocab)
    counted = sum(parameter.numel() for parameter in set(network.parameters()))
    assert estimates.parameter_count(config, vocab) == counted


def test_flop_of_a_tiny_network_by_hand():
    """Width 2: a block's matrices are 2x6, 2x2, 2x8 and 8x2, the head is 5x2; both products of attention span 3."""
    config = ModelConfig(n_layer=1, n_head=1, n_embd=2, context_length=3)
    multiplications = 2 * 6 + 2 * 2 + 2 * 8 + 8 * 2 + 5 * 2 + 2 * (3 * 2)
    forward, backward = 2 * multiplications, 4 * multiplications
    assert estimates.flop_per_token(config, 5) == forward + backward


@pytest.mark.parametrize("vocab", [256, 4096, 50_257, 1_000_000])
@pytest.mark.parametrize("context", [1, 64, 1024, 131_072])
def test_an_evaluation_takes_at_least_one_sequence_and_keeps_its_logits_small(vocab, context):
    batch = estimates.evaluation_batch_size(parse_config({"model": {"context_length": context}}, "x"), vocab)
    assert batch >= 1
    assert batch == 1 or batch * context * vocab <= estimates.EVALUATION_LOGITS


def test_memory_grows_with_what_a_person_can_turn_down():
    base = RunConfig()
    used = estimates.memory_bytes(base, 4096)
    for table in ({"model": {"n_embd": 512}}, {"model": {"context_length": 1024}}, {"training": {"batch_size": 32}}):
        assert estimates.memory_bytes(parse_config(table, "x"), 4096) > used
    smaller = parse_config({"training": {"batch_size": 32, "micro_batch_size": 8}}, "x")
    assert estimates.memory_bytes(smaller, 4096) == used
