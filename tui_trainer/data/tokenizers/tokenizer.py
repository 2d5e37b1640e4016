"""What every tokenizer can do, and the files it is kept in."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT_VERSION = 2
"""The newest that is read; what version 1 can hold is written as version 1."""
TABLE_FILE = "tokenizer.json"

Ids = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int64]


class Tokenizer(ABC):
    """Encodes any text without an error and decodes any of its ids."""

    kind: str
    """bpe, gpt2, char or bytes, as in the configuration."""
    vocab_size: int
    """Ids are 0 to `vocab_size - 1`."""
    token_byte_lengths: Lengths
    """(vocab_size,): the UTF-8 bytes that each id stands for, for bits a byte; 0 for one that is not text."""

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """The ids of a text, (N,); text that looks like a special token is plain text."""

    @abstractmethod
    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes that the ids stand for; a part of a character stays a part."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; what is no whole character becomes U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def encode_prompt(self, text: str) -> tuple[list[int], int]:
        """The ids of what a person typed, and how many characters had to be replaced."""
        clean = replace_surrogates(text)
        return self.encode(clean).tolist(), sum(was != now for was, now in zip(text, clean, strict=True))

    def may_cut(self, text: str, place: int) -> bool:
        """Whether a text may be encoded in two pieces, cut before the white space at `place`: see `last_word_end`."""
        return True

    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """Everything `load_tokenizer` needs, by file name."""

    @property
    def fingerprint(self) -> str:
        """The sha256 of the tokenizer, as hexadecimal digits: equal ones give equal ids."""
        return hashlib.sha256(b"\0".join(self.files().values())).hexdigest()

    def save(self, folder: Path) -> None:
        """Writes the tokenizer into a folder; a reader sees each file whole.

        Raises:
            OSError: when the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files().items():
            temporary = folder / f".{name}.{os.getpid()}.tmp"
            try:
                temporary.write_bytes(content)
                temporary.replace(folder / name)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    def _table(self, **content: Any) -> bytes:
        head = {"format_version": 1, "kind": self.kind, "vocab_size": self.vocab_size}
        return json.dumps({**head, **content}, indent=1).encode()


def replace_surrogates(text: str) -> str:
    """Half characters, as a broken terminal sends them, have no UTF-8: each becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
