from __future__ import annotations

import math
import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.runs.decimals import read_decimals

DIGITS = st.text("0123456789", min_size=1, max_size=25)
NUMBERS = st.builds(
    lambda whole, fraction, power: whole + fraction + power,
    DIGITS,
    st.just("") | DIGITS.map(".{}".format),
    st.just("") | st.integers(0, 400).map("e-{:02}".format),
)
WRITTEN = st.floats(0, 1e15, allow_subnormal=True).map(repr).filter(lambda text: "e+" not in text)


def floats(texts: list[str]) -> list[float]:
    numbers = read_decimals("".join(f"{text.replace('e-', '-')}," for text in texts).encode())
    return numbers.floats(np.arange(len(numbers.digits))).tolist()


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("d", value) for value in values]


@given(st.lists(NUMBERS | WRITTEN, min_size=1, max_size=40))
def test_each_is_the_float_that_python_reads_bit_for_bit(texts):
    assert bits(floats(texts)) == bits([float(text) for text in texts])


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=200))
def test_what_a_trainer_writes_comes_back(values):
    assert floats([repr(value) for value in values]) == values


@given(st.integers(2**52, 2**53 - 1), st.integers(-60, -36), st.integers(14, 40))
def test_the_middle_between_two_floats_and_what_is_near_it_goes_to_the_right_side(mantissa, power, length):
    low = math.ldexp(mantissa, power)
    middle = (Decimal(low) + Decimal(math.nextafter(low, math.inf))) / 2
    text = f"{middle:f}"[:length].rstrip(".")
    assert bits(floats([text])) == bits([float(text)])


def near_middles(power: int, binary: int) -> list[str]:
    """Decimals that are as near to the middle between two floats as any of 18 digits, but not there.

    digits × 2**(binary - power) = middle × 5**power - rest, for a middle of 54 bits and the smallest rests there are.
    """
    modulus, found = 2 ** (binary - power), []
    for rest in (-3, -2, -1, 1, 2, 3):
        first = rest * pow(5**power, -1, modulus) % modulus
        for middle in range(first + 2**53 - 2**53 % modulus, 2**54, modulus):
            digits = (middle * 5**power - rest) // modulus
            if middle > 2**53 and middle % 2 and digits < 10**18:
                found.append(f"{digits}e-{power}")
    return found


def test_what_is_as_near_to_a_middle_as_can_be_goes_to_the_right_side():
    texts = [text for power in range(18, 23) for binary in range(66, 78) for text in near_middles(power, binary)]
    assert len(texts) > 5_000
    assert bits(floats(texts)) == bits([float(text) for text in texts])


EDGES = ["0", "0.0", "00.10", "1", "9007199254740993", "999999999999999999", "9" * 19, "9" * 300, "0." + "0" * 40 + "1"]
POWERS = ["1e-400", "5e-324", "1e-05", "8.849557522123894e-05", "1.7976931348623157e-308", "1" + "0" * 22 + ".0"]


@pytest.mark.parametrize("text", EDGES + POWERS)
def test_the_edges(text):
    assert bits(floats([text, "0.25", text])) == bits([float(text), 0.25, float(text)])


def test_only_those_that_are_asked_for_are_made():
    numbers = read_decimals(b"1,0.5,3-02,7,")
    assert numbers.floats(np.array([3, 1, 2, 1])).tolist() == [7.0, 0.5, 0.03, 0.5]
