"""From a table of ranks to the merges that Hugging Face, ONNX tools and llama.cpp want, and back.

A token of two bytes or more is the merge of the two tokens that byte-pair encoding leaves of it before its own
rank comes. Those pairs alone give the same ids as the ranks do: whenever tiktoken joins two neighbours into a
token, no merge has crossed its ends, so the neighbours are that very pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise

Ranks = Mapping[bytes, int]


@cache
def byte_letters() -> tuple[str, ...]:
    """The printable letter that stands for each byte, as GPT-2 defined it: ASCII and Latin-1 for themselves."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    rest = iter(range(256, 512))
    return tuple(chr(byte if byte in printable else next(rest)) for byte in range(256))


def to_letters(token: bytes) -> str:
    """A token as the files of Hugging Face spell it."""
    letters = byte_letters()
    return "".join(letters[byte] for byte in token)


def to_bytes(token: str) -> bytes:
    """The bytes of a token that is spelt in letters.

    Raises:
        ValueError: for a letter that stands for no byte.
    """
    letters = byte_letters()
    return bytes(letters.index(letter) for letter in token)


def merges_of(ranks: Ranks) -> list[tuple[bytes, bytes]]:
    """The merges in the order of their ranks.

    Raises:
        ValueError: for a token that no two others make, as byte-pair encoding never learns one.
    """
    longer = sorted((rank, token) for token, rank in ranks.items() if len(token) > 1)
    return [_last_pair(token, ranks, rank) for rank, token in longer]


def spelt_by(merges: Iterable[tuple[str, ...]]) -> set[str]:
    """Every token that merges make, the single bytes included; text encodes to no other one of a vocabulary."""
    return {*byte_letters()}.union(*((left, right, left + right) for left, right in merges))


def ranks_of(
    vocabulary: Mapping[str, int], merges: Iterable[tuple[str, str]], special: Iterable[str]
) -> dict[bytes, int]:
    """The table of a vocabulary in letters.

    Args:
        vocabulary: token to id.
        merges: the pairs, in the order in which they are tried.
        special: tokens that are no text.

    Raises:
        ValueError: when ids and merges are in different orders: a table of ranks cannot say that.
    """
    left_out = set(special)
    ranks = {to_bytes(token): rank for token, rank in vocabulary.items() if token not in left_out}
    if any(bytes([byte]) not in ranks for byte in range(256)):
        raise ValueError("not every byte is a token")
    if merges_of(ranks) != [(to_bytes(left), to_bytes(right)) for left, right in merges]:
        raise ValueError("its merges are in another order than its ids")
    return ranks


def _last_pair(token: bytes, ranks: Ranks, limit: int) -> tuple[bytes, bytes]:
    """What is left of a token when every merge below `limit` is done."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        joined = [ranks.get(left + right, limit) for left, right in pairwise(parts)]
        lowest = min(joined)
        if lowest >= limit:
            raise ValueError(f"{token!r} is no merge of two tokens")
        place = joined.index(lowest)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    if any(part not in ranks or (ranks[part] >= limit and len(part) > 1) for part in parts):
        raise ValueError(f"{token!r} comes before its parts")
    return parts[0], parts[1]
