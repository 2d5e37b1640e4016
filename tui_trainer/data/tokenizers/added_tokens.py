"""Tokens that somebody added to a tokenizer, with what the `tokenizers` package means by their flags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
SPACES += "\u205f\u3000"
"""Unicode's White_Space; Python's isspace() has four control characters more."""
_JOINERS = "\u200c\u200d"
_LETTERS_IN_CIRCLES = re.compile("[\u24b6-\u24e9\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189]")


@dataclass(frozen=True)
class AddedToken:
    """A text that is one token wherever it stands, before any other rule."""

    content: str
    id: int
    lstrip: bool = False
    """Takes the white space before it along."""
    rstrip: bool = False
    """Takes the white space behind it along."""
    single_word: bool = False
    """Only where it touches no letter, digit or underscore."""
    normalized: bool = True
    """Looked for after those that are not, in the text between them."""

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> AddedToken:
        """From an entry of JSON, which may lack flags.

        Raises:
            ValueError: when a value is of another type.
        """
        content, index = entry["content"], entry["id"]
        flags = {name: entry[name] for name in ("lstrip", "rstrip", "single_word", "normalized") if name in entry}
        if not (
            isinstance(content, str) and content and type(index) is int and all(type(f) is bool for f in flags.values())
        ):
            raise ValueError(
                f"added token {content!r:.40}: needs a text, a whole number as id, and flags that are true or false"
            )
        return cls(content, index, **flags)


class AddedTokens:
    """Finds added tokens in a text: the leftmost first, of several there the longest."""

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        """Prepares the search.

        Args:
            tokens: each content once.
        """
        self._tokens = {token.content: token for token in tokens}
        both = (
            [token.content for token in self._tokens.values() if token.normalized is side] for side in (False, True)
        )
        # An alternation takes the first that fits, so the longest come first.
        self._patterns = [
            re.compile("|".join(map(re.escape, sorted(contents, key=len, reverse=True))))
            for contents in both
            if contents
        ]
        found = self._tokens.values()
        self._around_space = [token.content for token in found if any(map(str.isspace, token.content[1:]))]
        self._taking_space = tuple(token.content for token in found if token.rstrip)
        self._longest = max(map(len, self._tokens), default=0)
        self._after_space = tuple(token.content for token in found if token.single_word and token.content[0].isspace())

    def split(self, text: str) -> list[str | AddedToken]:
        """The text, cut around the added tokens in it."""
        parts: list[str | AddedToken] = [text]
        for pattern in self._patterns:
            parts = [
                piece for part in parts for piece in (self._find(pattern, part) if isinstance(part, str) else [part])
            ]
        return parts

    def may_cut(self, text: str, place: int) -> bool:
        """Whether both sides of a place before white space give the tokens that the whole gives.

        What may follow the text is unknown, so a token that reaches to its end may go on there.
        """
        if text.endswith(self._taking_space, 0, place) or text.startswith(self._after_space, place):
            return False
        for content in self._around_space:
            first, last = max(0, place - len(content) + 1), place + len(content) - 1
            if text.find(content, first, last) >= 0:
                return False
            if last > len(text) and any(content.startswith(text[start:]) for start in range(first, place)):
                return False
        rest = text[place:] if len(text) - place < self._longest else None
        return rest is None or not any(content.startswith(rest) for content in self._after_space)

    def _find(self, pattern: re.Pattern[str], text: str) -> Iterator[str | AddedToken]:
        done = 0
        for match in pattern.finditer(text):
            token = self._tokens[match[0]]
            start, end = match.span()
            if token.single_word and (is_word(text[start - 1 : start]) or is_word(text[end : end + 1])):
                continue
            while token.lstrip and start > done and text[start - 1] in SPACES:
                start -= 1
            if token.lstrip and start < done:  # The token before took it along, as white space.
                start = done
            while token.rstrip and end < len(text) and text[end] in SPACES:
                end += 1
            if done < start:
                yield text[done:start]
            if start < end:
                yield token
            done = end
        if done < len(text):
            yield text[done:]


def is_word(character: str) -> bool:
    """Whether there is a character and it is one of a word, as in Rust: Python's has no marks and more numbers."""
    if not character:
        return False
    category = unicodedata.category(character)
    return (
        category[0] in "LM"
        or category in ("Nd", "Nl", "Pc")
        or character in _JOINERS
        or _LETTERS_IN_CIRCLES.match(character) is not None
    )
