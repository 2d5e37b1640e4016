import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui_trainer.data.text_cuts import last_word_end, pieces, split_sides
from tui_trainer.data.tokenizers import BpeTokenizer, load_gpt2_ranks
from tui_trainer.data.tokenizers.bpe import learn_ranks

WORDS = [
    "the",
    "cat's",
    "'ll",
    "!",
    "...",
    "한국어",
    "문장을",
    "🙂",
    "👩‍👩‍👧",
    "é",
    "e\u0301",
    "12",
    "3",
    "_a",
    "<|endoftext|>",
]
SPACES = [" ", "  ", "    ", "\n", "\r\n", "\r", "\n\n\n", "\t", "\u00a0", "\u3000", "\u2028", "{\r\n", "\x1c", "\x85"]
PARTS = st.sampled_from(WORDS) | st.sampled_from(SPACES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
TEXTS = st.lists(PARTS, max_size=40).map("".join)
TOKENIZERS = {
    "gpt2": BpeTokenizer("gpt2", load_gpt2_ranks()),
    "bpe": BpeTokenizer("bpe", learn_ranks(["the cat's 한국어 문장을 🙂 if (x):\r\n    12\t" * 9], 500)),
}


def in_chunks(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=TEXTS, size=st.integers(1, 20))
@example("a  b \r\n c\n\n'll 's\u00a0x \x1c y", 1)
def test_pieces_encode_as_the_whole_does(kind, text, size):
    tokenizer = TOKENIZERS[kind]
    cut = list(pieces(in_chunks(text, size), length=1 << 20))
    assert "".join(cut) == text
    ids = [tokenizer.encode(piece).tolist() for piece in cut]
    assert list(itertools.chain(*ids)) == tokenizer.encode(text).tolist()


@given(text=TEXTS)
def test_every_word_end_is_a_border_between_tokens(text):
    tokenizer, whole = TOKENIZERS["gpt2"], TOKENIZERS["gpt2"].encode(text).tolist()
    while cut := last_word_end(text):
        text, rest = text[:cut], text[cut:]
        whole, tail = whole[: -len(tokenizer.encode(rest))], whole[-len(tokenizer.encode(rest)) :]
        assert tokenizer.encode(rest).tolist() == tail
        assert tokenizer.encode(text).tolist() == whole


def test_a_text_without_white_space_is_cut_by_force():
    cut = list(pieces(in_chunks("가" * 1000, 7), length=100))
    assert "".join(cut) == "가" * 1000
    assert max(map(len, cut)) <= 106


@given(text=TEXTS.filter(bool), size=st.integers(1, 20), place=st.integers(0, 200))
def test_the_split_stands_between_characters_and_never_behind_its_byte(text, size, place):
    marked = list(split_sides(in_chunks(text, size), place))
    sides = [side for side, _ in marked]
    assert sides == sorted(sides)
    assert "".join(chunk for _, chunk in marked) == text
    assert all(chunk for _, chunk in marked)
    train = len("".join(chunk for side, chunk in marked if not side).encode())
    assert min(place, len(text.encode())) - 3 <= train <= place
