"""Does the model write or does it quote? The longest piece of a sample that stands so in the training text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SEARCHED_TOKENS = 2_000_000
"""Memorising is a matter of small texts; this many tokens are searched in about a millisecond a sampled token."""


def longest_quote(sample: Sequence[int], train: npt.NDArray[np.unsignedinteger]) -> tuple[int, int]:
    """Where in a sample its longest piece that also stands in `train` starts, and how many tokens it has.

    The table of the longest common substring, a row for each sampled token: an entry says how many tokens up to
    here are equal, and depends only on its neighbour in the row above.
    """
    text = np.asarray(train[:SEARCHED_TOKENS])
    row = np.zeros(len(text) + 1, np.uint32)
    best_start, best_length = 0, 0
    for position, token in enumerate(sample):
        np.multiply(row[:-1] + 1, text == token, out=row[1:])
        length = int(row.max())
        if length > best_length:
            best_start, best_length = position + 1 - length, length
    return best_start, best_length
