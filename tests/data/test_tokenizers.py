import base64
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tiktoken
import tiktoken_ext.openai_public
from hypothesis import example, given
from hypothesis import strategies as st

from tui_trainer.config import DataConfig
from tui_trainer.data import tokenizers
from tui_trainer.data.corpus import open_corpus
from tui_trainer.data.tokenizers import (
    BpeTokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    learn_tokenizer,
    load_gpt2_ranks,
    load_hugging_face_tokenizer,
    load_tokenizer,
)
from tui_trainer.data.tokenizers.bpe import learn_ranks, read_ranks, sample_pieces, write_ranks
from tui_trainer.errors import UserError

SHIPPED = Path(tokenizers.__file__).parents[1] / "gpt2.tiktoken"
MIXED = "The cat's 한국어 문장 🙂👩‍👩‍👧 int main() {\r\n\treturn 0;\r\n}\n\n  <|endoftext|> naïve 12345 \u3000全角 "
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def make(kind: str) -> Tokenizer:
    if kind == "gpt2":
        return BpeTokenizer("gpt2", load_gpt2_ranks())
    if kind == "bpe":
        return BpeTokenizer("bpe", learn_ranks([MIXED * 5], 400))
    return CharTokenizer("".join(sorted(set(MIXED)))) if kind == "char" else ByteTokenizer()


ALL = {kind: make(kind) for kind in ("gpt2", "bpe", "char", "bytes")}


def test_the_shipped_table_is_the_one_tiktoken_expects():
    names = tiktoken_ext.openai_public.r50k_base.__code__.co_consts
    assert hashlib.sha256(SHIPPED.read_bytes()).hexdigest() in names
    notice = SHIPPED.with_name("gpt2.tiktoken.NOTICE").read_text()
    assert "MIT License" in notice
    assert "Copyright (c) 2022 OpenAI" in notice


def test_gpt2_ids_equal_an_encoding_built_apart():
    lines = (line.split() for line in SHIPPED.read_text().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    pattern = tiktoken_ext.openai_public.r50k_pat_str
    other = tiktoken.Encoding("apart", pat_str=pattern, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})
    text = MIXED + "".join(open_corpus(DataConfig()).chunks())[:50_000]
    assert ALL["gpt2"].encode(text).tolist() == other.encode_ordinary(text)
    assert ALL["gpt2"].encode("Hello world").tolist() == [15496, 995]
    assert ALL["gpt2"].vocab_size == other.n_vocab == 50257


@pytest.mark.parametrize("kind", ALL)
@given(text=TEXTS)
@example(MIXED)
@example("")
@example("<|endoftext|>")
def test_text_comes_back_and_its_bytes_are_counted(kind, text):
    tokenizer = ALL[kind]
    if kind == "char":
        text = "".join(letter for letter in text if letter in MIXED)
    ids = tokenizer.encode(text)
    assert ids.dtype == np.uint32
    assert tokenizer.decode(ids.tolist()) == text
    assert tokenizer.decode_bytes(ids.tolist()) == text.encode()
    assert tokenizer.token_byte_lengths[ids].sum() == len(text.encode())
    assert tokenizer.encode_prompt(text) == (ids.tolist(), 0)


@pytest.mark.parametrize("kind", ALL)
def test_byte_lengths_are_those_of_each_id(kind):
    tokenizer = ALL[kind]
    assert tokenizer.token_byte_lengths.shape == (tokenizer.vocab_size,)
    assert tokenizer.token_byte_lengths.dtype == np.int64
    is_text = tokenizer.token_byte_lengths > 0
    assert (~is_text).sum() == (kind == "gpt2")
    for index in range(0, tokenizer.vocab_size, 97):
        assert len(tokenizer.decode_bytes([index])) == tokenizer.token_byte_lengths[index]


@pytest.mark.parametrize("kind", ALL)
def test_any_id_decodes(kind):
    tokenizer = ALL[kind]
    assert isinstance(tokenizer.decode(list(range(tokenizer.vocab_size))), str)


def test_unknown_characters_of_a_prompt_are_replaced_and_counted():
    tokenizer = CharTokenizer(" ?ab")
    ids, replaced = tokenizer.encode_prompt("aXb\ud800\U0010ffff")
    assert (tokenizer.decode(ids), replaced) == ("a?b??", 3)
    assert CharTokenizer("é").encode_prompt("zz") == ([0, 0], 2)
    assert CharTokenizer("x").vocab_size == 1


@pytest.mark.parametrize("kind", ["gpt2", "bpe", "bytes"])
def test_half_characters_are_replaced_and_counted(kind):
    ids, replaced = ALL[kind].encode_prompt("a\ud83d b\udc00")
    assert (ALL[kind].decode(ids), replaced) == ("a? b?", 2)


@pytest.mark.parametrize("kind", ALL)
def test_saved_tokenizers_load_to_the_same(kind, tmp_path):
    tokenizer = ALL[kind]
    tokenizer.save(tmp_path / "tokenizer")
    tokenizer.save(tmp_path / "tokenizer")
    loaded = load_tokenizer(tmp_path / "tokenizer")
    assert (loaded.kind, loaded.vocab_size) == (tokenizer.kind, tokenizer.vocab_size)
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.encode(MIXED).tolist() == tokenizer.encode(MIXED).tolist()
    assert not list(tmp_path.glob("*/.*"))


def test_fingerprints_differ():
    assert len({tokenizer.fingerprint for tokenizer in ALL.values()} | {CharTokenizer("ab").fingerprint}) == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "sentencepiece"},
        {"vocab_size": 399},
        {"ranks_sha256": "0" * 64},
        {"ranks_sha256": None},
        {"pattern": "(((("},
        {"format_version": 99},
        {"format_version": "1"},
        {"kind": "char"},
        {"kind": "char", "alphabet": ""},
        {"kind": "char", "alphabet": "ba"},
        {"kind": "char", "alphabet": "\ud800"},
        {"kind": "char", "alphabet": ["a", "b"]},
    ],
)
def test_damaged_tables_are_refused(tmp_path, changes):
    ALL["bpe"].save(tmp_path)
    table = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps({**table, **changes}))
    with pytest.raises(UserError, match=str(tmp_path)):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"null"])
def test_damaged_json_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match=str(tmp_path)):
        load_tokenizer(tmp_path)


def test_damaged_ranks_are_refused(tmp_path):
    ALL["bpe"].save(tmp_path)
    ranks = tmp_path / "ranks.tiktoken"
    ranks.write_bytes(ranks.read_bytes()[:-9])
    with pytest.raises(UserError, match="damaged"):
        load_tokenizer(tmp_path)
    ranks.unlink()
    with pytest.raises(UserError, match=r"ranks\.tiktoken is missing"):
        load_tokenizer(tmp_path)
    with pytest.raises(UserError, match="no tokenizer"):
        load_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["tokenizer.json", "ranks.tiktoken", "vocab.json", "merges.txt"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_what_has_no_end_is_no_tokenizer(tmp_path, name, make):
    """A pipe nobody writes to, or a device: neither is waited for."""
    ALL["bpe"].save(tmp_path)
    for other in ("vocab.json", "merges.txt"):
        (tmp_path / other).write_text("{}")
    if name in ("vocab.json", "merges.txt"):
        (tmp_path / "tokenizer.json").unlink()
    (tmp_path / name).unlink()
    make(tmp_path / name)
    with pytest.raises(UserError, match=r"not a regular file|damaged"):
        load_hugging_face_tokenizer(tmp_path)


@pytest.mark.parametrize("change", [b"YQ== 0\n", b"IQ== x\n", b"**** 400\n", b"IQ==\n", b"YWFhYWFhYQ== 7000\n"])
def test_incomplete_ranks_are_refused(change):
    content = write_ranks(ALL["bpe"].ranks)
    assert read_ranks(content) == ALL["bpe"].ranks
    with pytest.raises(ValueError):
        read_ranks(content + change)
    with pytest.raises(ValueError):
        read_ranks(b"".join(content.splitlines(keepends=True)[1:]))


def test_a_small_text_learns_fewer_tokens(tmp_path):
    (tmp_path / "a.txt").write_text("ab ab")
    config = DataConfig(paths=(str(tmp_path),), vocab_size=4096)
    tokenizer = learn_tokenizer(config, open_corpus(config))
    assert 256 <= tokenizer.vocab_size < 300
    (tmp_path / "a.txt").write_text("x")
    assert learn_tokenizer(config, open_corpus(config)).vocab_size == 256


@pytest.mark.parametrize("kind", ALL)
def test_the_configuration_decides_the_kind(kind, tmp_path):
    (tmp_path / "a.txt").write_text(MIXED)
    config = DataConfig(paths=(str(tmp_path),), tokenizer=kind, vocab_size=300)
    tokenizer = learn_tokenizer(config, open_corpus(config))
    assert tokenizer.kind == kind
    assert tokenizer.decode(tokenizer.encode(MIXED).tolist()) == MIXED


def test_learning_is_repeatable():
    text = "".join(open_corpus(DataConfig()).chunks())
    assert learn_ranks([text], 2048) == learn_ranks([text], 2048)


@given(st.lists(TEXTS.filter(bool)), st.integers(1, 50))
def test_a_sample_is_small_and_from_everywhere(chunks, limit):
    size = len("".join(chunks).encode())
    sample = list(sample_pieces(chunks, size, limit))
    if size <= limit:
        assert sample == chunks
    assert len("".join(sample).encode()) <= limit
    assert all(chunk.startswith(piece) for chunk, piece in zip(chunks, sample, strict=True))
