"""What a model must beat: knowing nothing but how often each token occurs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COUNTED_TOKENS = 20_000_000
"""Frequencies do not change much beyond; a text of many gigabytes should not have to be read for them."""


def unigram_loss(
    train: npt.NDArray[np.unsignedinteger], val: npt.NDArray[np.unsignedinteger], vocab_size: int
) -> float:
    """The cross-entropy, in nats a token, of the validation side under the token frequencies of the training side.

    Each token is taken to have occurred once more than it did (Laplace's rule), so that a new one costs no infinity.
    """
    counts = np.bincount(train[:COUNTED_TOKENS], minlength=vocab_size) + 1.0
    nats = np.log(counts.sum()) - np.log(counts)
    return float(nats[val[:COUNTED_TOKENS]].mean())
