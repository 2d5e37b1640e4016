"""Byte-pair encoding: GPT-2's table, or one learned from the text.

tiktoken encodes, from ranks on the disk: `tiktoken.get_encoding` would download them. rustbpe learns, as in
nanochat. Method: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", on bytes as in
GPT-2 ("Language Models are Unsupervised Multitask Learners", section 2.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files as package_files
from typing import Any

import numpy as np
import tiktoken

from tui_trainer.data.tokenizers.added_tokens import AddedToken, AddedTokens
from tui_trainer.data.tokenizers.merges import to_letters
from tui_trainer.data.tokenizers.tokenizer import FORMAT_VERSION, TABLE_FILE, Ids, Tokenizer, replace_surrogates
from tui_trainer.errors import UserError

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
"""How GPT-2 cuts text into words; no word has white space after anything else."""
GPT2_SHA256 = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
END_OF_TEXT = "<|endoftext|>"
RANKS_FILE = "ranks.tiktoken"
SAMPLE_BYTES = 16 << 20
"""Most text that a table is learned from: more changes it little and holds the interpreter for seconds."""

Ranks = dict[bytes, int]


class BpeTokenizer(Tokenizer):
    """Byte-pair encoding by a table of ranks; `kind` gpt2 also has `<|endoftext|>`, which no text encodes to."""

    def __init__(
        self,
        kind: str,
        ranks: Ranks,
        pattern: str = GPT2_PATTERN,
        special_tokens: Mapping[str, int] | None = None,
        added_tokens: Sequence[AddedToken] = (),
    ) -> None:
        """Builds the encoder.

        Args:
            kind: bpe or gpt2.
            ranks: token to id, in the order of the merges; all 256 bytes are tokens.
            pattern: the regular expression that cuts text into words.
            special_tokens: token to id, of tokens that no text encodes to; None: those of the kind.
            added_tokens: what is one token before any other rule; its id may be that of a rank. All ids together are
                0 to n - 1.
        """
        self.kind = kind
        self.ranks = ranks
        self.pattern = pattern
        self.special_tokens = _own_special_tokens(kind, ranks) if special_tokens is None else dict(special_tokens)
        self.added_tokens = tuple(added_tokens)
        beside = {token.content: token.id for token in beside_ranks(self.added_tokens, ranks)}
        self.vocab_size = len(ranks) + len(self.special_tokens) + len(beside)
        self.token_byte_lengths = np.zeros(self.vocab_size, np.int64)
        self.token_byte_lengths[list(ranks.values())] = [len(token) for token in ranks]
        self.token_byte_lengths[list(beside.values())] = [len(content.encode()) for content in beside]
        self._added = AddedTokens(self.added_tokens)
        # tiktoken would look for its special tokens in the order of a hash, so it only decodes them.
        self._encoding = tiktoken.Encoding(
            kind, pat_str=pattern, mergeable_ranks=ranks, special_tokens=self.special_tokens | beside
        )

    def encode(self, text: str) -> Ids:
        ids: list[int] = []
        for part in self._added.split(replace_surrogates(text)):
            ids += [part.id] if isinstance(part, AddedToken) else self._encoding.encode_ordinary(part)
        return np.array(ids, np.uint32)

    def may_cut(self, text: str, place: int) -> bool:
        return self._added.may_cut(text, place)

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return self._encoding.decode_bytes(ids)

    def files(self) -> dict[str, bytes]:
        ranks = write_ranks(self.ranks)
        content: dict[str, Any] = {"pattern": self.pattern, "ranks_sha256": hashlib.sha256(ranks).hexdigest()}
        if self.special_tokens != _own_special_tokens(self.kind, self.ranks):
            content["special_tokens"] = self.special_tokens
        if self.added_tokens:
            content |= {
                "format_version": FORMAT_VERSION,
                "added_tokens": [asdict(token) for token in self.added_tokens],
            }
        return {RANKS_FILE: ranks, TABLE_FILE: self._table(**content)}


def beside_ranks(added: Sequence[AddedToken], ranks: Ranks) -> list[AddedToken]:
    """The added tokens with an id of their own; the others are tokens of the table, spelt in its letters."""
    if not added:
        return []
    table = {rank: token for token, rank in ranks.items()}
    return [token for token in added if token.id not in table or to_letters(table[token.id]) != token.content]


def _own_special_tokens(kind: str, ranks: Ranks) -> dict[str, int]:
    return {END_OF_TEXT: len(ranks)} if kind == "gpt2" else {}


def learn_ranks(pieces: Iterable[str], vocab_size: int, pattern: str = GPT2_PATTERN) -> Ranks:
    """Learns a table from text; a small text gives fewer than `vocab_size` tokens.

    Args:
        pieces: the text in large pieces; a word that a cut splits is learned as two.
        vocab_size: at least 256, the single bytes.
        pattern: the regular expression that cuts text into words.
    """
    import rustbpe

    learner = rustbpe.Tokenizer()
    learner.train_from_iterator(iter(pieces), vocab_size, pattern=pattern)
    return {bytes(token): rank for token, rank in learner.get_mergeable_ranks()}


def sample_pieces(chunks: Iterable[str], size_bytes: int, limit: int = SAMPLE_BYTES) -> Iterator[str]:
    """The text, or from a longer one the same share of every chunk: at most `limit` bytes, evenly spread."""
    for chunk in chunks:
        if size_bytes <= limit:
            yield chunk
            continue
        content = chunk.encode()
        yield content[: len(content) * limit // size_bytes].decode("utf-8", "ignore")


def load_gpt2_ranks() -> Ranks:
    """GPT-2's table, as shipped with this package: 50,256 tokens.

    Raises:
        UserError: when the installed file is damaged.
    """
    source = package_files("tui_trainer.data") / "gpt2.tiktoken"
    try:
        content = source.read_bytes()
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}; install tui-trainer again") from error
    if hashlib.sha256(content).hexdigest() != GPT2_SHA256:
        raise UserError(f"{source}: damaged; install tui-trainer again")
    return read_ranks(content)


def write_ranks(ranks: Ranks) -> bytes:
    """A table in tiktoken's text format: a line for each token, in base64, and its rank."""
    in_order = sorted(ranks.items(), key=lambda item: item[1])
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in in_order)


def read_ranks(content: bytes, special_ids: Iterable[int] = (), added: Sequence[AddedToken] = ()) -> Ranks:
    """Reads a table back; `special_ids` and those of `added` are the others among 0 to n - 1.

    Raises:
        ValueError: when it is not a complete one; tiktoken would panic over it.
    """
    ranks: Ranks = {}
    for line in content.splitlines():
        token, rank = line.split()
        try:
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except binascii.Error as error:
            raise ValueError("not base64") from error
    check_ids([*ranks.values(), *special_ids, *(token.id for token in beside_ranks(added, ranks))])
    if any(bytes([byte]) not in ranks for byte in range(256)):
        raise ValueError("not every byte is a token")
    return ranks


def check_ids(ids: Sequence[int]) -> None:
    """Raises ValueError unless the ids are 0 to n - 1."""
    if sorted(ids) != list(range(len(ids))):
        raise ValueError("the ids are not 0 to n - 1")
