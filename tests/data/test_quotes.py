import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.data.baseline import unigram_loss
from tui_trainer.data.quotes import longest_quote

TOKENS = st.lists(st.integers(0, 3), max_size=40)


def by_hand(sample, train):
    """Every piece of the sample, the longest and then the first one first."""
    for length in range(len(sample), 0, -1):
        for start in range(len(sample) - length + 1):
            piece = sample[start : start + length]
            if any(train[at : at + length] == piece for at in range(len(train))):
                return start, length
    return 0, 0


@given(TOKENS, TOKENS)
def test_the_longest_piece_is_found(sample, train):
    assert longest_quote(sample, np.array(train, np.uint16))[1] == by_hand(sample, train)[1]
    start, length = longest_quote(sample, np.array(train, np.uint16))
    assert any(train[at : at + length] == sample[start : start + length] for at in range(len(train) + 1))


def test_it_does_not_matter_where_the_piece_stands():
    train = random.Random(0).choices(range(1000), k=5000)
    for place in (0, 2500, 4950):
        sample = [1001, 1002, *train[place : place + 50], 1003]
        assert longest_quote(sample, np.array(train, np.uint16)) == (2, 50)


def test_the_unigram_loss_by_hand():
    """Counts 3, 1 and 0 of three tokens become 4, 2 and 1 of seven."""
    train, val = np.array([0, 0, 0, 1], np.uint16), np.array([0, 2], np.uint16)
    expected = -(np.log(4 / 7) + np.log(1 / 7)) / 2
    assert unigram_loss(train, val, 3) == expected


def test_even_frequencies_cost_as_much_as_a_blind_guess():
    tokens = np.arange(3000, dtype=np.uint16) % 100
    assert abs(unigram_loss(tokens, tokens, 100) - np.log(100)) < 1e-9
