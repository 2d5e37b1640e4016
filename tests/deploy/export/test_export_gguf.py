"""GGUF, as gguf's own reader sees it."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_runs import NOW
from gguf import TokenType

from tui_trainer.data.tokenizers import BpeTokenizer, ByteTokenizer, load_gpt2_ranks
from tui_trainer.data.tokenizers.added_tokens import AddedToken, AddedTokens
from tui_trainer.deploy.export import gguf_file
from tui_trainer.deploy.export.export import export_model
from tui_trainer.deploy.export.source import Source
from tui_trainer.errors import UserError
from tui_trainer.model import GPT


def test_the_reader_finds_the_same_tensors_and_the_shape(export, make_source, tmp_path: Path) -> None:
    from gguf import GGUFReader

    card = export("gguf", tmp_path / "out")
    assert card.agreements[0].max_difference == 0
    assert card.agreements[0].tokenizer.endswith("are equal")
    reader, source = GGUFReader(tmp_path / "out" / "model.gguf"), make_source()
    found = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    weights = source.model.state_dict()
    assert found.keys() == {gguf_file.gguf_name(name) for name in weights}
    assert all(np.array_equal(found[gguf_file.gguf_name(name)], tensor.numpy()) for name, tensor in weights.items())
    fields = {key: reader.get_field(key).contents() for key in reader.fields if not key.startswith("GGUF.")}
    assert fields["gpt2.context_length"] == 16
    assert fields["gpt2.attention.layer_norm_epsilon"] == pytest.approx(1e-5)
    assert fields["tokenizer.ggml.pre"] == "gpt-2"
    assert fields["tokenizer.ggml.tokens"][fields["tokenizer.ggml.eos_token_id"]] == "Ā"  # the zero byte
    assert fields["tokenizer.ggml.add_bos_token"] is False


def test_the_names_are_those_of_the_gguf_package(make_source) -> None:
    import gguf

    known = {gguf.TENSOR_NAMES[kind] for kind in gguf.MODEL_TENSORS[gguf.MODEL_ARCH.GPT2]}
    for name in make_source().model.state_dict():
        stem = gguf_file.gguf_name(name).rsplit(".", 1)[0]
        assert stem in {entry.format(bid=int(stem.split(".")[1]) if "blk" in stem else 0) for entry in known}


def test_gpt2s_own_tokenizer_keeps_its_end_of_text(make_source, tmp_path: Path) -> None:
    from gguf import GGUFReader, GGUFWriter

    writer = GGUFWriter(tmp_path / "tokens.gguf", "gpt2")
    ours = BpeTokenizer("gpt2", {token: rank for token, rank in load_gpt2_ranks().items() if rank < 1000})
    gguf_file._add_tokenizer(writer, ours)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    reader = GGUFReader(tmp_path / "tokens.gguf")
    assert reader.get_field("tokenizer.ggml.eos_token_id").contents() == 1000
    assert gguf_file._read_tokenizer(reader).ranks == ours.ranks


def changed(source: Source, **shape: object) -> Source:
    """The same weights in a network of another shape."""
    config = source.config.model_copy(update={"model": source.config.model.model_copy(update=shape)})
    model = GPT(config.model, source.tokenizer.vocab_size).eval()
    model.load_state_dict(source.model.state_dict())
    return replace(source, config=config, model=model.requires_grad_(requires_grad=False))


def test_the_epsilon_is_in_the_metadata(make_source, tmp_path: Path) -> None:
    from gguf import GGUFReader

    source = changed(make_source(), layer_norm_epsilon=1e-6)
    export_model(source, "gguf", tmp_path / "out", quantize=None, now=NOW)
    field = GGUFReader(tmp_path / "out" / "model.gguf").get_field("gpt2.attention.layer_norm_epsilon")
    assert field.contents() == pytest.approx(1e-6)


def test_the_exact_gelu_is_refused(make_source, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this model has activation = gelu\nexport it with --format hf or onnx"):
        export_model(changed(make_source(), activation="gelu"), "gguf", tmp_path / "out", quantize=None, now=NOW)
    assert list(tmp_path.iterdir()) == []


BYTES = {bytes([byte]): byte for byte in range(256)}
MERGED = BYTES | {b"ab": 256, b"th": 257, b"the": 258}


def added(*tokens: str | AddedToken, first: int = 259) -> BpeTokenizer:
    """A table of three merges, and tokens beside it."""
    made = [AddedToken(token, first + n) if isinstance(token, str) else token for n, token in enumerate(tokens)]
    return BpeTokenizer("bpe", MERGED, special_tokens={}, added_tokens=made)


def test_added_tokens_are_user_defined(make_source, tmp_path: Path) -> None:
    from gguf import GGUFReader

    tokenizer = added("<a>", "<a>b", "\n\n", "한 국", AddedToken("the", 258))
    model = GPT(make_source().config.model, tokenizer.vocab_size).eval().requires_grad_(requires_grad=False)
    source = replace(make_source(), tokenizer=tokenizer, model=model)
    card = export_model(source, "gguf", tmp_path / "out", quantize=None, now=NOW)
    assert "are equal" in card.agreements[0].tokenizer
    reader = GGUFReader(tmp_path / "out" / "model.gguf")
    tokens, kinds = (reader.get_field(f"tokenizer.ggml.{name}").contents() for name in ("tokens", "token_type"))
    defined = [tokens[index] for index, kind in enumerate(kinds) if kind == TokenType.USER_DEFINED]
    assert defined == ["the", "<a>", "<a>b", "\n\n", "한 국"]
    assert gguf_file._read_tokenizer(reader).encode("the<a>b 한 국").tolist() == [258, 260, 32, 262]


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        ([AddedToken("<a>", 259, lstrip=True)], "<a>"),
        ([AddedToken("<a>", 259, rstrip=True)], "<a>"),
        ([AddedToken("<a>", 259, single_word=True)], "<a>"),
        ([AddedToken("<a>", 259), AddedToken("a", 97, normalized=False)], "a"),
        (["<a>", ">b"], "<a>"),
        ([AddedToken("é", 0xE9)], "é"),
    ],
)
def test_added_tokens_that_llama_cpp_finds_otherwise_are_refused(tokens, named, make_source, tmp_path: Path) -> None:
    source = replace(make_source(), tokenizer=added(*tokens))
    with pytest.raises(UserError, match=f"the added token '{named}' as it is found here\nexport it with"):
        export_model(source, "gguf", tmp_path / "out", quantize=None, now=NOW)


def longest_first(text: str, contents: list[str]) -> list[str]:
    """As llama.cpp finds the tokens of a text: each in turn, in what those before it have left."""
    parts = [(text, False)]
    for content in sorted(contents, key=len, reverse=True):
        cut: list[tuple[str, bool]] = []
        for part, is_found in parts:
            between = [(part, True)] if is_found else [(rest, False) for rest in part.split(content)]
            cut += [piece for rest in between for piece in ((content, True), rest)][1:]
        parts = cut
    return [part for part, _ in parts if part]


@pytest.mark.parametrize("seed", range(50))
def test_what_is_written_is_found_the_same_longest_first(seed: int) -> None:
    drawn = random.Random(seed)
    contents = sorted({"".join(drawn.choices("ab<", k=drawn.randint(1, 4))) for _ in range(3)})
    is_refused = gguf_file._find_unwritable(added(*contents)) is not None
    texts = ["".join(drawn.choices("ab<c", k=12)) for _ in range(200)]
    found = AddedTokens(AddedToken(content, 0) for content in contents)
    are_same = all(
        longest_first(text, contents) == [part if isinstance(part, str) else part.content for part in found.split(text)]
        for text in texts
    )
    assert are_same or is_refused


@pytest.mark.parametrize(
    ("architecture", "tokenizer", "words"),
    [
        ("modern", None, "llama.cpp has no such network as architecture = modern"),
        ("gpt2", ByteTokenizer(), "llama.cpp has no tokenizer such as bytes"),
        ("gpt2", BpeTokenizer("bpe", {bytes([byte]): byte for byte in range(256)}, r"\S+|\s+"), "no tokenizer"),
        ("gpt2", BpeTokenizer("bpe", {bytes([byte]): byte for byte in range(256)}), "no merges"),
    ],
)
def test_what_llama_cpp_lacks_is_said(architecture, tokenizer, words, make_source, tmp_path: Path) -> None:
    source = make_source(architecture)
    if tokenizer is not None:
        source = replace(source, tokenizer=tokenizer)
    with pytest.raises(UserError, match=words):
        export_model(source, "gguf", tmp_path / "out", quantize=None, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_the_way_out_is_said(export, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UserError, match=r"needs the gguf package\n.*-c constraints.txt '\.\[export,serve\]'"):
        export("gguf", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
