"""tokenizer.json: the real `tokenizers` package must give our ids, and what is read back must be ours."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from tui_trainer.data.text_cuts import pieces
from tui_trainer.data.tokenizers import (
    BpeTokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    hugging_face_files,
    load_gpt2_ranks,
    load_hugging_face_tokenizer,
    load_tokenizer,
)
from tui_trainer.data.tokenizers.added_tokens import is_word
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


def write_first_gpt2(folder: Path) -> BpeTokenizer:
    """GPT-2's tokenizer in the two files of its first release: vocab.json and merges.txt."""
    ours = TOKENIZERS["gpt2"]
    assert isinstance(ours, BpeTokenizer)
    letters = {to_letters(token): rank for token, rank in ours.ranks.items()}
    (folder / "vocab.json").write_text(json.dumps(letters | ours.special_tokens))
    lines = [f"{to_letters(left)} {to_letters(right)}" for left, right in merges_of(ours.ranks)]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n")
    return ours


def test_the_two_files_of_the_first_gpt2_are_read(tmp_path: Path) -> None:
    ours = write_first_gpt2(tmp_path)
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


PIECES = [
    "a",
    "b",
    "ab",
    "<",
    "<a>",
    ">",
    "<a>b",
    " ",
    "  ",
    "\n",
    "\u3000",
    "안녕",
    " 안",
    "😀",
    "e\u0301",
    " the",
    "12",
    "½",
    "_",
]
"""What the random texts and the random added tokens are made of."""
FLAGS = ("lstrip", "rstrip", "single_word", "normalized")


def with_added(tokens: list[AddedToken], folder: Path, name: str = "bpe") -> Backend:
    """A tokenizer to which somebody added tokens, in a folder."""
    theirs = Backend.from_str(hugging_face_files(TOKENIZERS[name], 64)["tokenizer.json"].decode())
    theirs.add_tokens(tokens)
    theirs.save(str(folder / "tokenizer.json"))
    return theirs


def random_texts(contents: list[str], count: int, seed: int) -> list[str]:
    drawn = random.Random(seed)
    return [
        "".join(drawn.choice(contents if drawn.random() < 0.4 else PIECES) for _ in range(drawn.randint(1, 25)))
        for _ in range(count)
    ]


OVERLAPPING = ["<a>", "<a>b", "ab", " <q>", "<q> ", "<q>", "안녕", "😀", "the", " the", "\n\n"]


@pytest.mark.parametrize("name", ["gpt2", "bpe"])
def test_added_tokens_are_encoded_as_transformers_does(name: str, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    with_added([AddedToken(content, special=False) for content in OVERLAPPING], tmp_path, name)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    ours = load_hugging_face_tokenizer(tmp_path)
    assert ours.vocab_size == len(theirs)
    for text in random_texts([*OVERLAPPING, KOREAN, CODE, EMOJI], 1000, seed=0):
        ids = ours.encode(text).tolist()
        assert ids == theirs.encode(text), text
        assert ours.decode(ids) == text


@pytest.mark.parametrize("seed", range(40))
def test_added_tokens_with_any_flags_are_encoded_and_kept(seed: int, tmp_path: Path) -> None:
    """Through our own files and through an export, and in pieces as a long text is."""
    drawn = random.Random(seed)
    drawn_contents = {"".join(drawn.choices(PIECES, k=drawn.randint(1, 3))) for _ in range(8)}
    contents = sorted(content for content in drawn_contents if content.strip())
    tokens = [AddedToken(content, **{flag: drawn.random() < 0.3 for flag in FLAGS}) for content in contents]
    theirs = with_added(tokens, tmp_path)
    load_hugging_face_tokenizer(tmp_path).save(tmp_path / "own")
    ours = load_tokenizer(tmp_path / "own")
    (tmp_path / "exported").mkdir()
    assert load_hugging_face_tokenizer(save(ours, tmp_path / "exported")).fingerprint == ours.fingerprint
    exported = Backend.from_file(str(tmp_path / "exported" / "tokenizer.json"))
    for text in random_texts(contents, 50, seed):
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text).tolist() == ids, text
        assert exported.encode(text, add_special_tokens=False).ids == ids
        size = drawn.randint(1, 12)
        cut = list(pieces((text[at : at + size] for at in range(0, len(text), size)), may_cut=ours.may_cut))
        assert "".join(cut) == text
        assert [index for piece in cut for index in ours.encode(piece).tolist()] == ids, cut


def test_white_space_that_two_tokens_take_along_is_one_token(tmp_path: Path) -> None:
    theirs = with_added([AddedToken("\n", lstrip=True, rstrip=True), AddedToken(" x")], tmp_path)
    ours = load_hugging_face_tokenizer(tmp_path)
    for text in ("\n\na", "a\n \n", "a\n x", " \n\n\n x"):
        assert ours.encode(text).tolist() == theirs.encode(text, add_special_tokens=False).ids


def test_a_word_of_rust_is_known() -> None:
    theirs = Backend.from_str(hugging_face_files(TOKENIZERS["bpe"], 64)["tokenizer.json"].decode())
    theirs.add_tokens([AddedToken("<q>", single_word=True)])
    token = theirs.token_to_id("<q>")
    for character in "aZ한_9½²Ⅳ-\u0301\u200d\u200b\u203fⓐ🄰🅰℃ªʰ€\x1c\u00a0":
        touches = theirs.encode(character + "<q>", add_special_tokens=False).ids[-1] != token
        assert is_word(character) == touches, hex(ord(character))


def test_added_tokens_stand_beside_the_two_files_of_the_first_gpt2(tmp_path: Path) -> None:
    from transformers import GPT2Tokenizer

    write_first_gpt2(tmp_path)
    added = {"<a>": 50257, "<pad>": 50258, " <q>": 50259, "[S]": 50260}
    (tmp_path / "added_tokens.json").write_text(json.dumps(added))
    named = {"pad_token": "<pad>", "additional_special_tokens": ["[S]"]}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(named))
    found, theirs = load_hugging_face_tokenizer(tmp_path), GPT2Tokenizer.from_pretrained(tmp_path)
    assert isinstance(found, BpeTokenizer)
    assert found.special_tokens.keys() == {"<|endoftext|>", "<pad>", "[S]"}
    assert found.vocab_size == 50_261
    for text in random_texts(["<a>", " <q>", KOREAN, CODE], 50, seed=1):
        assert found.encode(text).tolist() == theirs.encode(text)
    assert len(found.encode("<pad>")) > 1


def test_what_only_tokenizer_config_adds_is_read(tmp_path: Path) -> None:
    with_added([AddedToken("<a>", rstrip=True)], tmp_path)
    entry = {"content": "<b>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False}
    first = TOKENIZERS["bpe"].vocab_size
    decoder = {str(first): entry | {"content": "<a>"}, str(first + 1): entry | {"special": False}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    found = load_hugging_face_tokenizer(tmp_path)
    assert found.encode("x <b><a>  y").tolist() == [120, first + 1, first, 121]


def test_a_token_of_the_table_that_is_added_keeps_its_id(tmp_path: Path) -> None:
    theirs = with_added([AddedToken("the", single_word=True)], tmp_path)
    found = load_hugging_face_tokenizer(tmp_path)
    assert found.vocab_size == TOKENIZERS["bpe"].vocab_size
    for text in ("the theatre", "a the, bathe the"):
        assert found.encode(text).tolist() == theirs.encode(text, add_special_tokens=False).ids


def test_a_table_without_added_tokens_is_written_as_before(tmp_path: Path) -> None:
    table = json.loads(TOKENIZERS["bpe"].files()["tokenizer.json"])
    assert table["format_version"] == 1
    assert table.keys() == {"format_version", "kind", "vocab_size", "pattern", "ranks_sha256"}
    with_added([AddedToken("<a>")], tmp_path)
    assert json.loads(load_hugging_face_tokenizer(tmp_path).files()["tokenizer.json"])["format_version"] == 2


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
        changed(added_tokens=[{"id": 7, "content": "<s>", "special": True}]),
        changed(added_tokens=[{"id": len(TOKENIZERS["bpe"].token_byte_lengths), "content": "<s>", "lstrip": 1}]),
        json.loads(hugging_face_files(TOKENIZERS["bytes"], 64)["tokenizer.json"])
        | {"added_tokens": [{"id": 256, "content": "<s>", "special": False}]},
        changed(added_tokens=[{"id": 10**12, "content": "<s>"}]),
    ],
)
def test_another_tokenizer_is_refused(table: dict, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(UserError) as refused:
        load_hugging_face_tokenizer(tmp_path)
    assert "tokenizer" in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3


def test_a_space_before_every_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed(pre_tokenizer={**LETTERS, "add_prefix_space": True})))
    with pytest.raises(UserError, match="it puts a space before every text"):
        load_hugging_face_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"[]", b'{"kind": 1}'])
def test_a_broken_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError):
        load_hugging_face_tokenizer(tmp_path)


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json is missing"):
        load_hugging_face_tokenizer(tmp_path)
