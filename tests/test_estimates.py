from __future__ import annotations

import json
import subprocess
import sys

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


CHILD = """
import json, resource, sys
from pathlib import Path
from tui_trainer.config import parse_config
from tui_trainer.training.interruption import ProgramLink
from tui_trainer.training.launch import NewRun
from tui_trainer.training.session import hold_session
config = parse_config(json.loads(sys.argv[1]), "x")
hold_session(NewRun(config, "x", Path(sys.argv[2]), "cpu"), ProgramLink(), lambda run: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another allocator, another system")
@pytest.mark.parametrize(
    ("model", "batch_size", "vocab"),
    [
        ({"n_layer": 12, "n_embd": 128, "context_length": 256, "dropout": 0.1}, 8, 1024),
        ({"n_layer": 2, "n_embd": 64, "context_length": 256, "dropout": 0.0, "architecture": "modern"}, 24, 4096),
        ({"n_layer": 3, "n_embd": 768, "context_length": 64, "dropout": 0.1}, 2, 1024),
    ],
    ids=["activations", "logits", "weights"],
)
def test_the_estimate_is_what_a_run_takes(tmp_path, model, batch_size, vocab):
    """Two steps, two evaluations and a save in a process of their own: where each part of the estimate rules."""
    tables = {
        "model": {"n_head": 4, **model},
        "data": {"tokenizer": "bpe", "vocab_size": vocab, "val_fraction": 0.04},  # one whole batch, and a rest
        "training": {"max_steps": 2, "batch_size": batch_size, "micro_batch_size": batch_size},
        "sampling": {"max_new_tokens": 3},
    }
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(tables), str(tmp_path / "run")],
        capture_output=True, text=True, timeout=170, check=True,
    )  # fmt: skip
    taken = int(done.stdout) - estimates.PROCESS_BYTES
    estimate = estimates.training_bytes(parse_config(tables, "x"), vocab, batch_size)
    assert 0.7 * taken < estimate < 1.4 * taken, f"{estimate / 1e6:.0f} MB estimated, {taken / 1e6:.0f} MB taken"
