"""The two tokenizers without a table of words: one id a character, and one id a byte."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np

from tui_trainer.data.tokenizers.tokenizer import TABLE_FILE, Ids, Tokenizer, replace_surrogates

STAND_INS = "? \n"
"""What an unknown character becomes: the first of these that the text has, else its first character."""


class CharTokenizer(Tokenizer):
    """One id a character of the alphabet, in the order of the code points."""

    kind = "char"

    def __init__(self, alphabet: str) -> None:
        """Builds the look-up.

        Args:
            alphabet: at least one character, each once, sorted, no surrogates.
        """
        self.alphabet = alphabet
        self.vocab_size = len(alphabet)
        self.token_byte_lengths = np.array([len(letter.encode()) for letter in alphabet], np.int64)
        self._code_points = code_points(alphabet)
        self._stand_in = next((alphabet.index(sign) for sign in STAND_INS if sign in alphabet), 0)

    @property
    def stand_in(self) -> str:
        """What an unknown character becomes."""
        return self.alphabet[self._stand_in]

    def encode(self, text: str) -> Ids:
        return self._look_up(text)[0]

    def encode_prompt(self, text: str) -> tuple[list[int], int]:
        ids, replaced = self._look_up(text)
        return ids.tolist(), replaced

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return "".join(self.alphabet[index] for index in ids).encode()

    def files(self) -> dict[str, bytes]:
        return {TABLE_FILE: self._table(alphabet=self.alphabet)}

    def _look_up(self, text: str) -> tuple[Ids, int]:
        wanted = code_points(text)
        ids = np.searchsorted(self._code_points, wanted)
        ids[ids == self.vocab_size] = 0
        is_unknown = self._code_points[ids] != wanted
        ids[is_unknown] = self._stand_in
        return ids.astype(np.uint32), int(is_unknown.sum())


class ByteTokenizer(Tokenizer):
    """One id a byte of UTF-8."""

    kind = "bytes"
    vocab_size = 256

    def __init__(self) -> None:
        """Nothing to know."""
        self.token_byte_lengths = np.ones(self.vocab_size, np.int64)

    def encode(self, text: str) -> Ids:
        return np.frombuffer(replace_surrogates(text).encode(), np.uint8).astype(np.uint32)

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return bytes(ids)

    def files(self) -> dict[str, bytes]:
        return {TABLE_FILE: self._table()}


def learn_alphabet(chunks: Iterable[str]) -> str:
    """Every character of a text once, sorted by code point."""
    is_used = np.zeros(sys.maxunicode + 1, np.bool_)
    for chunk in chunks:
        is_used[code_points(chunk)] = True
    return "".join(map(chr, np.flatnonzero(is_used)))


def code_points(text: str) -> Ids:
    """The code point of each character, (N,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
