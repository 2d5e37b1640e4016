"""int8 for ONNX, and what it costs: the validation perplexity of the run, before and after.

Weights of matrices become int8. In the graph of the whole forward they have a scale for each column and activations
are scaled as they come (dynamic quantization): fastest for many tokens at once. In the graph with the past, which
writes token by token, each 128 weights have a scale (onnxruntime's MatMulNBits): fastest for one, and twice as near.
Embeddings, norms and the products of attention stay in fp32.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tui_trainer.data.batches import EvaluationWindows
from tui_trainer.deploy.export.card import PerplexityChange
from tui_trainer.deploy.export.check import Ids, Logits, Runtime
from tui_trainer.deploy.export.onnx_writer import FULL_FILE, MAX_SINGLE_FILE_BYTES, PAST_FILE
from tui_trainer.deploy.export.source import Source
from tui_trainer.errors import UserError
from tui_trainer.training.text import load_split

MAX_CHANGE = 0.05
"""Share by which perplexity may rise."""
MEASURED_TOKENS = 32_768
"""Most tokens of the validation text that are measured: more change the figure little and take minutes."""
MATRICES = ("MatMul", "Gemm")
WEIGHTS_PER_SCALE = 128
INTEGER_PRODUCTS = 4
"""What onnxruntime calls an accuracy level: activations become int8, too."""


def quantize_graphs(folder: Path) -> None:
    """Replaces both fp32 graphs by int8 ones."""
    with _quiet_logging():
        for name, quantize in ((FULL_FILE, _quantize_dynamically), (PAST_FILE, _quantize_weights)):
            path = folder / name
            untied = folder / f"untied-{name}"
            _untie_head(path, untied)
            _remove(path)
            quantize(untied, path)
            _remove(untied)


def _quantize_dynamically(source: Path, target: Path) -> None:
    quantization: Any = import_module("onnxruntime.quantization")
    quantization.quantize_dynamic(
        source,
        target,
        op_types_to_quantize=list(MATRICES),
        per_channel=True,
        reduce_range=True,  # seven bits: processors without VNNI would overflow on eight, and differ
        weight_type=quantization.QuantType.QInt8,
        use_external_data_format=_data_of(source).exists(),
    )


def _quantize_weights(source: Path, target: Path) -> None:
    onnx: Any = import_module("onnx")
    quantizers: Any = import_module("onnxruntime.quantization.matmul_nbits_quantizer")
    how = quantizers.DefaultWeightOnlyQuantConfig(
        bits=8, block_size=WEIGHTS_PER_SCALE, is_symmetric=True, accuracy_level=INTEGER_PRODUCTS
    )
    quantizer = quantizers.MatMulNBitsQuantizer(onnx.load(source), algo_config=how)
    quantizer.process()
    _save(quantizer.model.model, target)


def measure_changes(source: Source, before: Runtime, quantized: Sequence[Runtime]) -> tuple[PerplexityChange, ...]:
    """Perplexity of the run's validation text before and in each quantized runtime.

    Raises:
        UserError: when the text is gone.
    """
    windows = validation_windows(source)
    exact = perplexity(before, windows)
    return tuple(
        PerplexityChange(after.name, windows.target_count, exact, perplexity(after, windows), limit=MAX_CHANGE)
        for after in quantized
    )


def demand_small(change: PerplexityChange) -> None:
    """Raises UserError with the numbers when quantization costs too much."""
    if not change.change <= change.limit:
        raise UserError(
            f"int8 costs too much: nothing was exported\n"
            f"{change.runtime}: validation perplexity {change.before:.4f} in fp32, {change.after:.4f} in int8: "
            f"{change.change:+.2%} (at most {change.limit:+.0%}); export it in fp32"
        )


def validation_windows(source: Source) -> EvaluationWindows:
    """The run's validation text, evenly sampled when it is long."""
    config = source.config
    split = load_split(source.run, config.data, source.tokenizer, source.data, lambda _done, _all: None)
    context = config.model.context_length
    return EvaluationWindows(split.val, context, batch_size=1, limit=max(1, MEASURED_TOKENS // context))


def perplexity(runtime: Runtime, windows: EvaluationWindows) -> float:
    """Exp of the mean loss a token."""
    nats = sum(_nats(runtime.logits(inputs), targets) for inputs, targets in windows)
    mean = nats / windows.target_count
    return math.exp(mean) if mean < 700 else math.inf


def _nats(logits: Logits, targets: Ids) -> float:
    """Cross-entropy of targets (B, T) under logits (B, T, V), summed."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    chosen = np.take_along_axis(shifted, targets[..., None], -1)[..., 0]
    return float((np.log(np.exp(shifted).sum(-1)) - chosen).sum())


def _untie_head(source: Path, target: Path) -> None:
    """Gives a tied head an own, turned copy of the embedding: only constants can be quantized."""
    onnx: Any = import_module("onnx")
    model = onnx.load(source)
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Transpose" and node.input[0] in constants]:
        order = [list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"]
        values = onnx.numpy_helper.to_array(constants[node.input[0]])
        turned = np.ascontiguousarray(values.transpose(order[0] if order else None))
        graph.initializer.append(onnx.numpy_helper.from_array(turned, node.output[0]))
        graph.node.remove(node)
    _save(model, target)


def _save(model: Any, target: Path) -> None:
    onnx: Any = import_module("onnx")
    is_large = model.ByteSize() > MAX_SINGLE_FILE_BYTES
    onnx.save(model, target, save_as_external_data=is_large, location=_data_of(target).name)


def _data_of(graph: Path) -> Path:
    """Where the weights of a graph are that are too large for it."""
    return graph.with_name(f"{graph.name}.data")


def _remove(graph: Path) -> None:
    graph.unlink()
    _data_of(graph).unlink(missing_ok=True)


@contextmanager
def _quiet_logging() -> Iterator[None]:
    """One of onnxruntime's modules has the root logger print each step, unless that logger has a handler."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(_is_no_advice)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _is_no_advice(record: logging.LogRecord) -> bool:
    """Onnxruntime tells the root logger to pre-process, which changes nothing here."""
    return "pre-processing" not in record.getMessage()
