"""A numbered list and a question, answered by a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tui_trainer.cli.plain_input import TypedLines
from tui_trainer.cli.watching import POLL_SECONDS, print_line
from tui_trainer.console.spoken_words import in_words, sentence, verbatim

MAX_SHOWN = 40
"""Characters of an answer that was not understood."""


@dataclass(frozen=True)
class Choice:
    """One item; `problem` says why it cannot be chosen."""

    name: str
    text: str
    problem: str | None = None


def choose(choices: Sequence[Choice], lines: TypedLines, is_over: Callable[[], bool]) -> int | None:
    """The index of what somebody chooses, by its number or its name; None when they leave or nothing more is typed.

    Args:
        choices: one of them at least can be chosen.
        lines: where the answers come from.
        is_over: whether to leave at once.
    """
    first = next(index for index, choice in enumerate(choices) if not choice.problem)
    for number, choice in enumerate(choices, 1):
        print_line(f"{number}: {choice.text}")
    question = f"Which number? Enter for {first + 1}. Type quit to leave."
    print_line(question)
    while not (lines.has_ended or is_over()):
        typed = lines.take(POLL_SECONDS)
        if typed is None:
            continue
        answer = typed.strip() or str(first + 1)
        if answer.lower() == "quit":
            return None
        index = _find(answer, choices)
        if index is not None and not choices[index].problem:
            return index
        print_line(f"{_explain(answer, index, choices)} {question}")
    return None


def _find(answer: str, choices: Sequence[Choice]) -> int | None:
    names = [choice.name for choice in choices]
    numbers = [str(number) for number in range(1, len(choices) + 1)]
    for answers in (numbers, names):
        if answer in answers:
            return answers.index(answer)
    return None


def _explain(answer: str, index: int | None, choices: Sequence[Choice]) -> str:
    if index is not None:
        choice = choices[index]
        return f"{verbatim(choice.name)}: {sentence(in_words(choice.problem or ''))}"
    shown = answer if len(answer) <= MAX_SHOWN else f"{answer[:MAX_SHOWN]}..."
    return f'"{verbatim(shown)}" is no number from 1 to {len(choices)}.'
