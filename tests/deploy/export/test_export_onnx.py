"""ONNX graphs in onnxruntime: every batch and length, with and without a past, and what int8 costs."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_runs import NOW

from tui_trainer.deploy.export import onnx_model, quantization
from tui_trainer.deploy.export.check import own_logits
from tui_trainer.deploy.export.export import KINDS, export_model
from tui_trainer.deploy.export.onnx_model import OnnxRuntime, PastRuntime
from tui_trainer.deploy.export.source import load_source
from tui_trainer.errors import UserError
from tui_trainer.model import GPT

both = pytest.mark.parametrize("architecture", ["gpt2", "modern"])


@pytest.fixture(scope="module")
def folders(runs, tmp_path_factory) -> dict[str, Path]:
    """Both architectures, exported once, from a folder whose files are called as packages are."""
    misleading = tmp_path_factory.mktemp("misleading")
    for package in (*onnx_model.PACKAGES, "torch"):
        (misleading / f"{package}.py").write_text("raise SystemExit(7)")
    folder = tmp_path_factory.mktemp("onnx")
    for architecture, run in runs.items():
        quantize = "int8" if architecture == "modern" else None
        with chdir(misleading):
            export_model(load_source(run, "best"), "onnx", folder / architecture, quantize=quantize, now=NOW)
    return {architecture: folder / architecture for architecture in runs}


def card_of(folder: Path) -> dict:
    return json.loads((folder / "export.json").read_bytes())


def test_the_card_holds_both_graphs(folders) -> None:
    card = card_of(folders["gpt2"])
    assert [entry["runtime"].endswith("past.onnx)") for entry in card["agreements"]] == [False, True]
    assert all(entry["max_difference"] < 1e-5 and entry["is_met"] for entry in card["agreements"])
    assert all(entry["greedy_agreed"] == entry["greedy_tokens"] for entry in card["agreements"])
    assert not any("source" in file["name"] or "untied" in file["name"] for file in card["files"])


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 2, 5, 7, 16])
def test_any_batch_and_length(batch: int, length: int, folders, make_source) -> None:
    """Those of the trace among them: a size that was taken as fixed would fail at all others."""
    source, runtime = make_source("gpt2"), OnnxRuntime(folders["gpt2"])
    tokens = np.random.default_rng(0).integers(source.tokenizer.vocab_size, size=(batch, length))
    wanted = own_logits(source.model, tokens)
    np.testing.assert_allclose(runtime.logits(tokens), wanted, rtol=0, atol=1e-5)
    parts, past = [], None
    for start in range(0, length, 3):
        logits, past = runtime.cached_logits(tokens[:, start : start + 3], past)
        parts.append(logits)
    np.testing.assert_allclose(np.concatenate(parts, 1), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "quantize"), [("hf", None), ("safetensors", None), ("onnx", "int8")])
def test_the_exact_gelu_and_another_epsilon_are_exported(name, quantize, make_source, tmp_path: Path) -> None:
    """An export that misses the network's own logits raises; weights of this size tell the forms apart."""
    source = make_source()
    config = source.config.model.model_copy(update={"activation": "gelu", "layer_norm_epsilon": 0.01})
    weights = {key: part * (20 if "feed_forward." in key else 1) for key, part in source.model.state_dict().items()}
    model = GPT(config, source.tokenizer.vocab_size).eval().requires_grad_(requires_grad=False)
    model.load_state_dict(weights)
    tokens = np.arange(16)[None]
    for other in ({"activation": "gelu_tanh"}, {"layer_norm_epsilon": 1e-5}):
        another = GPT(config.model_copy(update=other), source.tokenizer.vocab_size).eval()
        another.load_state_dict(weights)
        assert np.abs(own_logits(another, tokens) - own_logits(model, tokens)).max() > 2e-4
    exact = replace(source, config=source.config.model_copy(update={"model": config}), model=model)
    export_model(exact, name, tmp_path / "out", quantize=quantize, now=NOW)


def test_int8_is_smaller_and_its_cost_is_on_the_card(folders, make_source) -> None:
    card = card_of(folders["modern"])
    assert (card["quantization"], card["architecture"]) == ("int8", "modern")
    source = make_source("modern")
    for change, agreement in zip(card["perplexities"], card["agreements"], strict=True):
        assert change["runtime"] == agreement["runtime"]
        assert abs(change["change"]) < change["limit"]
        assert 0 < agreement["max_difference"] < 1
        assert change["before"] == pytest.approx(math.exp(source.val_loss), rel=1e-4)  # what the training measured
        assert f"{change['after']:.4f} in int8" in (folders["modern"] / "EXPORT.md").read_text()
    assert not any("untied" in path.name for path in folders["modern"].iterdir())


@both
def test_every_matrix_becomes_int8(architecture: str, folders, tmp_path: Path) -> None:
    """The tied head too, which is a turned embedding in the graph."""
    import onnx

    for name in ("model.onnx", "model_with_past.onnx"):
        (tmp_path / name).write_bytes((folders[architecture] / name).read_bytes())
    if architecture == "gpt2":
        program = "import sys, pathlib; from tui_trainer.deploy.export.quantization import quantize_graphs; "
        program += "quantize_graphs(pathlib.Path(sys.argv[1]))"
        command = [sys.executable, "-c", program, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout + done.stderr == "", "onnxruntime would print each step"
    for name, product in (("model.onnx", "MatMulInteger"), ("model_with_past.onnx", "MatMulNBits")):
        graph = onnx.load(tmp_path / name).graph
        constants = {constant.name for constant in graph.initializer}
        assert sum(node.op_type == product for node in graph.node) == 2 * 4 + 1
        left = [node for node in graph.node if node.op_type in ("MatMul", "Gemm")]
        assert not any(name in constants for node in left for name in node.input)


def test_a_quantization_that_costs_too_much_leaves_nothing(folders, export, monkeypatch, tmp_path: Path) -> None:
    def copy(_source, folder: Path) -> None:
        shutil.copytree(folders["gpt2"], folder, dirs_exist_ok=True)

    monkeypatch.setitem(KINDS, "onnx", replace(KINDS["onnx"], write=copy))
    monkeypatch.setattr(quantization, "MAX_CHANGE", -0.5)
    with pytest.raises(UserError, match=r"validation perplexity \d+\.\d+ in fp32, \d+\.\d+ in int8"):
        export("onnx", tmp_path / "out", quantize="int8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoilt", ["model.onnx", "model_with_past.onnx"])
def test_each_graph_is_measured(spoilt: str, folders, export, monkeypatch, tmp_path: Path) -> None:
    import onnx

    def copy(_source, folder: Path) -> None:
        shutil.copytree(folders["gpt2"], folder, dirs_exist_ok=True)

    def spoil(folder: Path) -> None:
        graph = onnx.load(folder / spoilt)
        for constant in graph.graph.initializer:
            if constant.data_type == onnx.TensorProto.FLOAT:
                constant.raw_data = bytes(len(constant.raw_data))
        onnx.save(graph, folder / spoilt)

    monkeypatch.setitem(KINDS, "onnx", replace(KINDS["onnx"], write=copy))
    monkeypatch.setattr(quantization, "quantize_graphs", spoil)
    with pytest.raises(UserError, match=r"int8 costs too much: nothing was exported\nonnxruntime"):
        export("onnx", tmp_path / "out", quantize="int8")
    assert list(tmp_path.iterdir()) == []


def test_the_weights_of_large_graphs_are_beside_them(folders, monkeypatch, tmp_path: Path) -> None:
    for name in ("model.onnx", "model_with_past.onnx"):
        shutil.copy(folders["gpt2"] / name, tmp_path)
    monkeypatch.setattr(quantization, "MAX_SINGLE_FILE_BYTES", 1000)
    quantization.quantize_graphs(tmp_path)
    names = {f"model{end}.onnx{data}" for end in ("", "_with_past") for data in ("", ".data")}
    assert {path.name for path in tmp_path.iterdir()} == names
    shutil.copy(folders["gpt2"] / "tokenizer.json", tmp_path)
    assert PastRuntime(tmp_path).logits(np.array([[1, 2, 3]])).shape[:2] == (1, 3)


def test_a_graph_that_cannot_be_written_is_said(export, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(onnx_model, "WRITER", "tui_trainer.deploy.export.nothing")
    with pytest.raises(UserError, match=r"could not write the ONNX graph \(exit code 1\)\n.*nothing"):
        export("onnx", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", onnx_model.PACKAGES)
def test_a_missing_package_is_said(package: str, export, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"needs the {package} package\n.*-c constraints.txt '\.\[export,serve\]'"):
        export("onnx", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_an_export_that_is_ended_leaves_nothing(sent: signal.Signals, runs, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tui_trainer", "export", str(runs["gpt2"].path), "--out", str(tmp_path / "out")]
    process = subprocess.Popen([*command, "--format", "onnx"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(f".out.{process.pid}.partial/source/model.safetensors")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(sent)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert list(tmp_path.iterdir()) == []
