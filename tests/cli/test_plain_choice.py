from __future__ import annotations

import os

import pytest

from tui_trainer.cli.plain_choice import Choice, choose
from tui_trainer.cli.plain_input import TypedLines

CHOICES = [
    Choice("first", "first. For a start.", "its text is missing"),
    Choice("second", "second. For later."),
    Choice("third", "third. For ever."),
]


def answered(typed: str) -> int | None:
    reader, writer = os.pipe()
    os.write(writer, typed.encode())
    os.close(writer)
    return choose(CHOICES, TypedLines(reader), lambda: False)


@pytest.mark.parametrize(
    ("typed", "index"),
    [("3\n", 2), (" 2 \n", 1), ("\n", 1), ("third\n", 2), ("3", 2), ("", None), ("quit\n3\n", None), ("Quit\n", None)],
)
def test_a_number_a_name_or_enter_chooses(typed, index):
    assert answered(typed) == index


def test_what_is_wrong_is_explained_in_a_line_and_asked_again(capsys):
    assert answered(f"4\n0\n-1\nx\x1b[2J\n{'y' * 500}\n1\n3\n") == 2
    lines = capsys.readouterr().out.splitlines()
    question = "Which number? Enter for 2. Type quit to leave."
    assert lines[:4] == ["1: first. For a start.", "2: second. For later.", "3: third. For ever.", question]
    assert lines[4:] == [
        f'"4" is no number from 1 to 3. {question}',
        f'"0" is no number from 1 to 3. {question}',
        f'"-1" is no number from 1 to 3. {question}',
        f'"x␛[2J" is no number from 1 to 3. {question}',
        f'"{"y" * 40}..." is no number from 1 to 3. {question}',
        f"first: Its text is missing. {question}",
    ]


def test_a_signal_ends_the_question():
    reader, writer = os.pipe()
    assert choose(CHOICES, TypedLines(reader), lambda: True) is None
    os.close(writer)
