"""tokenizer.json: the real `tokenizers` package must give our ids, and what is read back must be ours."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers

from tui_trainer.data.tokenizers import (
    BpeTokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    hugging_face_files,
    load_gpt2_ranks,
    load_hugging_face_tokenizer,
)
from tui_trainer.data.tokenizers.bpe import learn_ranks
from tui_trainer.data.tokenizers.merges import merges_of, to_bytes, to_letters
from tui_trainer.errors import UserError

KOREAN = "안녕하세요, 세계! 나는 학교에 갑니다. 값싼 닭갈비를 먹었습니다."
EMOJI = "👩‍👩‍👧‍👦 🇰🇷 ✨😀\ufe0f"
CODE = "def f(x):\n\treturn  x**2   # don't\r\n\r\n    if x != 'a':\n"
LEARNED = KOREAN * 20 + CODE * 50 + "the theatre thesis bethany aaaa aaaaaaa abab " * 30
NUMBERS_APART = r"\p{L}+|\p{N}{1,2}|[^\p{L}\p{N}]"
TOKENIZERS: dict[str, Tokenizer] = {
    "gpt2": BpeTokenizer("gpt2", load_gpt2_ranks()),
    "bpe": BpeTokenizer("bpe", learn_ranks([LEARNED], 600)),
    "another pattern": BpeTokenizer(
        "bpe", learn_ranks([LEARNED], 400, r"\p{L}+|\p{N}{1,2}|[^\p{L}\p{N}]"), r"\p{L}+|\p{N}{1,2}|[^\p{L}\p{N}]"
    ),
    "bytes": ByteTokenizer(),
    "char": CharTokenizer("".join(sorted(set(KOREAN + CODE)))),
    "char without ?": CharTokenizer("abc한😀"),
}
BACKENDS = {
    name: Backend.from_str(hugging_face_files(ours, 64)["tokenizer.json"].decode()) for name, ours in TOKENIZERS.items()
}
each = pytest.mark.parametrize("name", TOKENIZERS)


def save(tokenizer: Tokenizer, folder: Path) -> Path:
    for name, content in hugging_face_files(tokenizer, 64).items():
        (folder / name).write_bytes(content)
    return folder


def assert_same_ids(name: str, text: str) -> None:
    ids = TOKENIZERS[name].encode(text).tolist()
    assert BACKENDS[name].encode(text, add_special_tokens=False).ids == ids
    assert BACKENDS[name].decode(ids, skip_special_tokens=False) == TOKENIZERS[name].decode(ids)


@each
def test_ids_are_equal_on_korean_emoji_code_and_random_bytes(name: str) -> None:
    noise = random.Random(0).randbytes(4000)
    for text in (KOREAN, EMOJI, CODE, LEARNED, noise.decode("utf-8", "replace"), noise.decode("latin-1"), "", " "):
        assert_same_ids(name, text)


@each
@settings(max_examples=60, deadline=None)
@given(text=st.text(st.one_of(st.sampled_from(" \t\n\r'stve1a한aaa"), st.characters(exclude_categories=["Cs"]))))
def test_ids_are_equal_on_any_text(name: str, text: str) -> None:
    assert_same_ids(name, text)


@each
@pytest.mark.filterwarnings("ignore")
def test_auto_tokenizer_reads_it(name: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save(TOKENIZERS[name], tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ids = TOKENIZERS[name].encode(KOREAN + CODE + EMOJI).tolist()
    assert theirs.encode(KOREAN + CODE + EMOJI) == ids
    assert theirs.decode(ids) == TOKENIZERS[name].decode(ids)
    assert theirs.eos_token == ("<|endoftext|>" if name == "gpt2" else None)


@each
def test_it_is_read_back_as_what_it_was(name: str, tmp_path: Path) -> None:
    again = load_hugging_face_tokenizer(save(TOKENIZERS[name], tmp_path))
    assert again.fingerprint == TOKENIZERS[name].fingerprint


def test_what_a_run_keeps_is_read_too(tmp_path: Path) -> None:
    TOKENIZERS["bpe"].save(tmp_path)
    assert load_hugging_face_tokenizer(tmp_path).fingerprint == TOKENIZERS["bpe"].fingerprint


def test_the_two_files_of_the_first_gpt2_are_read(tmp_path: Path) -> None:
    ours = TOKENIZERS["gpt2"]
    assert isinstance(ours, BpeTokenizer)
    letters = {to_letters(token): rank for token, rank in ours.ranks.items()}
    (tmp_path / "vocab.json").write_text(json.dumps(letters | ours.special_tokens))
    lines = [f"{to_letters(left)} {to_letters(right)}" for left, right in merges_of(ours.ranks)]
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n")
    assert load_hugging_face_tokenizer(tmp_path).fingerprint == ours.fingerprint


def test_a_special_token_before_the_bytes_keeps_its_id(tmp_path: Path) -> None:
    """As tokenizers that others trained have it."""
    from tokenizers import trainers

    theirs = Backend(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    theirs.train_from_iterator(
        [LEARNED],
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=["<pad>", "<s>"], initial_alphabet=alphabet, show_progress=False
        ),
    )
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load_hugging_face_tokenizer(tmp_path)
    assert ours.encode(KOREAN + CODE).tolist() == theirs.encode(KOREAN + CODE).ids
    assert ours.decode(ours.encode(KOREAN).tolist()) == KOREAN
    assert ours.vocab_size == theirs.get_vocab_size()
    assert ours.token_byte_lengths[:2].tolist() == [0, 0]
    ours.save(tmp_path / "own")
    assert load_hugging_face_tokenizer(tmp_path / "own").fingerprint == ours.fingerprint


def test_letters_and_bytes_are_the_same_256() -> None:
    everything = bytes(range(256))
    assert to_bytes(to_letters(everything)) == everything
    assert set(to_letters(everything)) == set(pre_tokenizers.ByteLevel.alphabet())


def test_a_table_that_no_merges_make_is_refused() -> None:
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"abc": 256}
    with pytest.raises(UserError, match="no merge of two tokens"):
        hugging_face_files(BpeTokenizer("bpe", ranks), 64)


def changed(**changes: object) -> dict:
    table = json.loads(hugging_face_files(TOKENIZERS["bpe"], 64)["tokenizer.json"])
    model = table["model"] | changes.pop("model", {})
    return {**table, "model": model, **changes}


SPLIT = {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}
LETTERS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"model": []},
        changed(normalizer={"type": "Lowercase"}),
        changed(pre_tokenizer={"type": "Whitespace"}),
        changed(pre_tokenizer={**LETTERS, "add_prefix_space": True}),
        changed(pre_tokenizer={"type": "Sequence", "pretokenizers": [SPLIT, LETTERS]}),
        changed(pre_tokenizer=None),
        changed(model={"type": "Unigram"}),
        changed(model={"byte_fallback": True}),
        changed(model={"merges": []}),
        changed(model={"vocab": {"a": 0}}),
        changed(model={"vocab": {"a": "0"}}),
        changed(added_tokens=[{"id": 7, "content": "<s>"}]),
        changed(added_tokens=[{"id": 10**12, "content": "<s>"}]),
    ],
)
def test_another_tokenizer_is_refused(table: dict, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(UserError) as refused:
        load_hugging_face_tokenizer(tmp_path)
    assert "tokenizer" in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"[]", b'{"kind": 1}'])
def test_a_broken_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError):
        load_hugging_face_tokenizer(tmp_path)


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json is missing"):
        load_hugging_face_tokenizer(tmp_path)
