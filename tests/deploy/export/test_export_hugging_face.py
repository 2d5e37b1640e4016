"""Hugging Face folders, loaded by transformers, and our own layout."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from export_runs import NOW
from tokenizers import Tokenizer

from tui_trainer.data.tokenizers import BpeTokenizer, load_gpt2_ranks, load_hugging_face_tokenizer
from tui_trainer.data.tokenizers.added_tokens import AddedToken
from tui_trainer.data.tokenizers.hugging_face import hugging_face_files
from tui_trainer.deploy.export import hugging_face
from tui_trainer.deploy.export.check import _compare_tokenizers, compare, demand
from tui_trainer.deploy.export.export import export_model
from tui_trainer.errors import UserError
from tui_trainer.model import GPT
from tui_trainer.model.hugging_face import read_folder

both = pytest.mark.parametrize("architecture", ["gpt2", "modern"])
TEXT = "abc def 안녕 😀\n\tx = 'a'\n"


@both
def test_transformers_loads_it_and_says_the_same(architecture: str, export, make_source, tmp_path: Path) -> None:
    card = export("hf", tmp_path / "out", architecture)
    (found,) = card.agreements
    assert found.runtime.startswith("transformers ")
    assert (found.lengths, found.batches) == ((1, 8, 16), (1, 2))
    assert found.max_difference <= 1e-5
    assert found.greedy_agreed == found.greedy_tokens > 0
    assert found.tokenizer.endswith("are equal")

    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(tmp_path / "out") for kind in (AutoModelForCausalLM, AutoTokenizer))
    source = make_source(architecture)
    ids = source.tokenizer.encode(TEXT)[:16].tolist()
    with torch.inference_mode():
        torch.testing.assert_close(
            model.eval()(torch.tensor([ids])).logits, source.model(torch.tensor([ids])), rtol=0, atol=1e-5
        )
    assert tokenizer.encode(TEXT) == source.tokenizer.encode(TEXT).tolist()


def test_what_transformers_cannot_load_is_said_in_its_words(export, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(hugging_face, "write_weights", lambda weights, folder: None)
    with pytest.raises(UserError, match=r"^transformers [\d.]+ cannot load the export: .*model\.safetensors"):
        export("hf", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_card_tells_where_tokenizers_differ(make_source) -> None:
    """A token that no text of ours encodes to is one there, as Hugging Face's tokenizers do with special tokens."""
    ours = BpeTokenizer("gpt2", load_gpt2_ranks())
    theirs = Tokenizer.from_str(hugging_face_files(ours, 16)["tokenizer.json"].decode())
    runtime = SimpleNamespace(name="theirs", encode=lambda text: theirs.encode(text, add_special_tokens=False).ids)
    told = _compare_tokenizers(replace(make_source(), tokenizer=ours), runtime)
    assert told.endswith("are equal; <|endoftext|> in a text is one token there, here it is plain text")
    assert len(ours.encode("<|endoftext|>")) == 7


@pytest.mark.parametrize("name", ["hf", "safetensors"])
def test_added_tokens_keep_their_flags(name: str, make_source, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    ranks = {bytes([byte]): byte for byte in range(256)}
    added = [AddedToken("<a>", 257, rstrip=True), AddedToken("<a>b", 258, normalized=False), AddedToken("ab", 259)]
    tokenizer = BpeTokenizer("bpe", ranks, special_tokens={"</s>": 256}, added_tokens=added)
    model = GPT(make_source().config.model, tokenizer.vocab_size).eval().requires_grad_(requires_grad=False)
    source = replace(make_source(), tokenizer=tokenizer, model=model)
    (found,) = export_model(source, name, tmp_path / "out", quantize=None, now=NOW).agreements
    assert "are equal" in found.tokenizer
    assert load_hugging_face_tokenizer(tmp_path / "out").fingerprint == tokenizer.fingerprint
    if name == "hf":
        theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
        text = "ab <a>  x<a>b</s>"
        assert theirs.encode(text, split_special_tokens=False) == [259, 32, 257, *b"x", 258, 256]
        assert tokenizer.encode(text).tolist() == [259, 32, 257, *b"x", 258, *b"</s>"]
        assert theirs.eos_token_id == 256


@both
@pytest.mark.parametrize("name", ["hf", "safetensors"])
def test_it_is_read_back_to_the_bit(name: str, architecture: str, export, make_source, tmp_path: Path) -> None:
    export(name, tmp_path / "out", architecture)
    source, found = make_source(architecture), read_folder(tmp_path / "out")
    weights = source.model.state_dict()
    assert found.config == source.config.model
    assert found.weights.keys() == weights.keys()
    assert all(torch.equal(found.weights[name], weights[name]) for name in weights)
    assert load_hugging_face_tokenizer(tmp_path / "out").fingerprint == source.tokenizer.fingerprint


def test_the_card_tells_what_was_done(export, make_source, tmp_path: Path) -> None:
    card = export("hf", tmp_path / "out")
    data = json.loads((tmp_path / "out" / "export.json").read_bytes())
    assert (data["format"], data["step"], data["run"]) == ("hf", make_source().step, card.run)
    assert data["agreements"][0]["is_met"] is True
    assert data["created"] == "2026-11-24T12:00:00+00:00"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {file["name"] for file in data["files"]} == names - {"EXPORT.md", "export.json"}
    for file in data["files"]:
        content = (tmp_path / "out" / file["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    text = (tmp_path / "out" / "EXPORT.md").read_text()
    assert f"step {card.step}" in text
    assert all(file["sha256"] in text for file in data["files"])
    assert data["versions"]["transformers"] in text


def test_without_transformers_our_own_reader_checks(export, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    card = export("hf", tmp_path / "out")
    assert card.agreements[0].runtime.startswith("tui-trainer ")


def test_without_tokenizers_the_way_out_is_said(export, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"pip install -c constraints\.txt '\.\[export,serve\]'"):
        export("hf", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    export("safetensors", tmp_path / "out")


def test_a_wrong_weight_fails_with_the_numbers_and_leaves_nothing(make_source, monkeypatch, tmp_path: Path) -> None:
    real = hugging_face.write_weights

    def write_wrongly(weights, folder):
        real(weights | {"transformer.wte.weight": weights["transformer.wte.weight"] * 1.01}, folder)

    monkeypatch.setattr(hugging_face, "write_weights", write_wrongly)
    with pytest.raises(UserError, match=r"largest difference of a logit \d\.\d+ \(at most 0\.0001\)"):
        export_model(make_source(), "hf", tmp_path / "out", quantize=None, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_another_text_is_noticed(make_source, tmp_path: Path) -> None:
    """Equal logits alone do not make equal text: a runtime may mishandle what it has written."""
    source = make_source()
    hugging_face.write_own(source, tmp_path)

    class Stubborn(hugging_face.FolderRuntime):
        def write(self, ids: list[int], count: int) -> list[int]:
            unlikely = int(self.logits(torch.tensor([ids]).numpy())[0, -1].argmin())
            return [unlikely] * count

    found = compare(source, Stubborn(tmp_path))
    assert found.max_difference == 0
    assert found.greedy_agreed == 0
    with pytest.raises(UserError, match="0 of"):
        demand(found)
    demand(replace(found, greedy_agreed=found.greedy_tokens))


@pytest.mark.parametrize(
    ("name", "quantize", "words"),
    [
        ("pickle", None, "--format pickle: must be hf"),
        ("hf", "int8", "only for --format onnx"),
        ("onnx", "int4", "--quantize int4: must be int8"),
    ],
)
def test_what_there_is_not_is_refused(name: str, quantize: str | None, words: str, export, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        export(name, tmp_path / "out", quantize=quantize)
    assert list(tmp_path.iterdir()) == []


def test_the_command_exports_and_refuses_to_do_it_twice(runs, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tui_trainer", "export", str(runs["gpt2"].path), "--out", str(tmp_path / "out")]
    command += ["--format", "safetensors"]
    first = subprocess.run(command, capture_output=True, text=True)
    assert (first.returncode, first.stderr) == (0, "")
    assert "largest logit difference 0" in first.stdout
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 2
    assert second.stderr == f"{tmp_path / 'out'}: not empty; choose another folder with --out\n"
