"""How much faster an int8 export is than an fp32 one, and how far both are from the network they were made of.

    python benchmarks/export.py [--rounds 15] [--layers 6 --width 384] [--threads 0]

Random weights of the given shape (10.6 million parameters in the blocks by default), one thread count for both,
rounds alternated so that a busy machine slows both alike, medians.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tui_trainer.config import parse_config
from tui_trainer.data.tokenizers import BpeTokenizer
from tui_trainer.data.tokenizers.bpe import learn_ranks
from tui_trainer.deploy.export.check import compare
from tui_trainer.deploy.export.onnx_model import OnnxRuntime, PastRuntime, write_onnx
from tui_trainer.deploy.export.quantization import quantize_graphs
from tui_trainer.deploy.export.source import Source
from tui_trainer.model import GPT
from tui_trainer.runs.directory import RunDirectory


def make_source(arguments: argparse.Namespace) -> Source:
    from pydoc_data.topics import topics

    tokenizer = BpeTokenizer("bpe", learn_ranks(list(topics.values()), arguments.vocabulary))
    shape = {"n_layer": arguments.layers, "n_head": arguments.width // 64, "n_embd": arguments.width}
    shape |= {"context_length": arguments.context, "dropout": 0.0, "architecture": arguments.architecture}
    config = parse_config({"model": shape}, "benchmark")
    torch.manual_seed(0)
    model = GPT(config.model, tokenizer.vocab_size).eval().requires_grad_(requires_grad=False)
    for parameter in model.parameters():
        if parameter.dim() == 2 and not parameter.any():  # `modern` starts with zeros, which any arithmetic gets right
            torch.nn.init.normal_(parameter, std=0.02)
    return Source(RunDirectory(Path("benchmark")), config, 0, None, model, tokenizer, ())


def decode(runtime: OnnxRuntime, prompt: np.ndarray, tokens: int) -> None:
    """A prompt, then token by token."""
    past = None
    for _ in range(tokens):
        logits, past = runtime.cached_logits(prompt, past)
        prompt = logits[:, -1:].argmax(-1)


def seconds(work: Callable[[OnnxRuntime], object], runtime: OnnxRuntime) -> float:
    started = time.perf_counter()
    work(runtime)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("rounds", 15), ("layers", 6), ("width", 384), ("context", 256), ("vocabulary", 4096)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--architecture", default="gpt2")
    arguments = parser.parse_args()
    source = make_source(arguments)
    with tempfile.TemporaryDirectory() as name:
        folders = {kind: Path(name) / kind for kind in ("fp32", "int8")}
        folders["fp32"].mkdir()
        write_onnx(source, folders["fp32"])
        shutil.copytree(folders["fp32"], folders["int8"])
        quantize_graphs(folders["int8"])
        print(f"{source.parameters / 1e6:.1f} million parameters, {arguments.architecture}")
        for kind, folder in folders.items():
            sizes = ", ".join(
                f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in sorted(folder.glob("*.onnx*"))
            )
            apart = max(compare(source, open_(folder)).max_difference for open_ in (OnnxRuntime, PastRuntime))
            print(f"  {kind}: {sizes}; largest logit difference {apart:.2g}")
        report({kind: OnnxRuntime(folder, arguments.threads) for kind, folder in folders.items()}, arguments)


def report(runtimes: dict[str, OnnxRuntime], arguments: argparse.Namespace) -> None:
    generator = np.random.default_rng(0)
    whole = generator.integers(arguments.vocabulary // 2, size=(1, arguments.context))
    works: dict[str, Callable[[OnnxRuntime], object]] = {
        f"forward of {arguments.context} tokens": lambda runtime: runtime.logits(whole),
        "64 tokens, one by one, after 64": lambda runtime: decode(runtime, whole[:, :64], 64),
    }
    for title, work in works.items():
        taken: dict[str, list[float]] = {kind: [] for kind in runtimes}
        for number in range(arguments.rounds + 2):
            for kind in (*runtimes,) if number % 2 else reversed((*runtimes,)):
                spent = seconds(work, runtimes[kind])
                if number >= 2:
                    taken[kind].append(spent)
        fp32, int8 = (statistics.median(taken[kind]) for kind in ("fp32", "int8"))
        print(f"  {title}: fp32 {fp32 * 1e3:.1f} ms, int8 {int8 * 1e3:.1f} ms, fp32 ÷ int8 = {fp32 / int8:.2f}")


if __name__ == "__main__":
    main()
