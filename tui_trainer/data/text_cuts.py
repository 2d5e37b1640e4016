"""Where a text may be cut: into its two sides, and into pieces that encode as the whole would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

PIECE_LENGTH = 1 << 20
"""Characters after which a text without any white space is cut all the same."""
_WHITE_SPACE = " \n\t\r"

MayCut = Callable[[str, int], bool]
"""Whether a tokenizer gives the same ids for both sides of a place in a text: `Tokenizer.may_cut`."""


def _anywhere(_text: str, _place: int) -> bool:
    return True


def split_sides(chunks: Iterable[str], split_byte: int) -> Iterator[tuple[int, str]]:
    """Marks each chunk with its side: 0 before `split_byte`, 1 from there on, at a border between characters.

    The split comes before the encoding and before any window is cut, so no training window reaches into the
    validation text, whatever the stride.
    """
    offset = 0
    for chunk in chunks:
        content = chunk.encode()
        cut = split_byte - offset
        offset += len(content)
        if cut <= 0 or cut >= len(content):
            yield int(cut <= 0), chunk
            continue
        while content[cut] & 0xC0 == 0x80:  # A byte inside a character.
            cut -= 1
        if cut:
            yield 0, content[:cut].decode()
        yield 1, content[cut:].decode()


def pieces(chunks: Iterable[str], length: int = PIECE_LENGTH, may_cut: MayCut = _anywhere) -> Iterator[str]:
    """Joins and cuts chunks anew, so that each piece encodes to the same ids on its own as within the whole.

    A stretch of `length` characters without such a place is cut at its end; its ids may then differ there, but
    not its text, and not from one time to the next.
    """
    rest = ""
    for chunk in chunks:
        rest += chunk
        cut = last_word_end(rest, may_cut)
        if not cut and len(rest) >= length:
            cut = len(rest)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def last_word_end(text: str, may_cut: MayCut = _anywhere) -> int:
    """The last place behind a character that is no white space and before one that is; 0 when there is none.

    No word of GPT-2's pattern has white space after anything else, and the pattern never looks behind itself,
    so such a place is always a border between two words. Added tokens may forbid it.
    """
    for place in range(len(text) - 1, 0, -1):
        if text[place] in _WHITE_SPACE and not text[place - 1].isspace() and may_cut(text, place):
            return place
    return 0
