"""The memory estimate beside what a run really took: a process for each shape, three steps and their evaluations.

python benchmarks/memory.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from tui_trainer.config import parse_config
from tui_trainer.estimates import memory_bytes

MODERN = {"architecture": "modern"}
SHAPES = {
    "quick-test": ({"n_layer": 2, "n_embd": 128, "context_length": 64}, "bpe", 2048, 4),
    "small": ({"n_layer": 4, "n_embd": 128, "context_length": 128}, "bpe", 4096, 16),
    "default": ({"n_layer": 4, "n_embd": 256, "context_length": 256}, "bpe", 4096, 8),
    "deep": ({"n_layer": 12, "n_embd": 256, "context_length": 256}, "bpe", 2048, 8),
    "wide": ({"n_layer": 6, "n_embd": 768, "n_head": 12, "context_length": 128}, "bpe", 2048, 4),
    "many tokens": ({"n_layer": 2, "n_embd": 64, "context_length": 64}, "gpt2", 50_257, 8),
    "big logits": ({"n_layer": 2, "n_embd": 64, "context_length": 128}, "gpt2", 50_257, 8),
    "long": ({"n_layer": 2, "n_embd": 128, "context_length": 2048}, "bpe", 2048, 2),
    "modern": (MODERN | {"n_layer": 6, "n_embd": 384, "n_head": 6, "context_length": 128}, "bpe", 2048, 8),
}
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


def tables_of(name: str) -> dict[str, dict[str, object]]:
    model, tokenizer, vocab_size, batch_size = SHAPES[name]
    return {
        "model": {"n_head": 4, **model},
        "data": {"tokenizer": tokenizer, "vocab_size": min(vocab_size, 8192)},
        "training": {"max_steps": 3, "batch_size": batch_size, "micro_batch_size": batch_size, "learning_rate": 1e-3},
        "sampling": {"prompts": ["The "], "max_new_tokens": 5},
    }


def measure(name: str) -> int:
    """Peak bytes of a process that trained."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", CHILD, json.dumps(tables_of(name)), f"{folder}/run"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def main() -> None:
    print(f"{'':12}  {'estimate':>9}  {'taken':>9}  ratio")
    for name, (_, _, vocab_size, _) in SHAPES.items():
        after = measure(name)
        estimate = memory_bytes(parse_config(tables_of(name), name), vocab_size)
        print(
            f"{name:12}  {estimate / 1e6:6,.0f} MB  {after / 1e6:6,.0f} MB  {estimate / after:5.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
