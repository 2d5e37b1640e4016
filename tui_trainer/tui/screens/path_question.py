"""A question answered by a path or a name, typed with completion or taken from a list."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from os.path import commonprefix
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui_trainer.config import parse_config
from tui_trainer.data.corpus import open_corpus
from tui_trainer.data.text_files import TEXT_SUFFIXES
from tui_trainer.errors import UserError
from tui_trainer.monitor.run_list import describe_run
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.runs.catalogue import find_base
from tui_trainer.runs.directory import RunDirectory

MAX_OFFERED, MAX_OFFERED_RUNS = 100, 25
MAX_SEEN = 5000
"""Entries of a folder that are looked at: somebody waits for the next letter."""


@dataclass(frozen=True)
class Offer:
    """What can be taken, and how it is shown."""

    value: str
    text: str


class PathQuestion(ModalScreen[str | None]):
    """Answers with what was typed; escape with None. The list shows how what is typed can go on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("ctrl+c", "cancel", show=False, priority=True),  # the input would copy
        Binding("tab", "complete", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
    ]

    def __init__(
        self,
        title: str,
        hint: str,
        value: str,
        offer: Callable[[str], Sequence[Offer]],
        judge: Callable[[str], str | None],
    ) -> None:
        """Asks.

        Args:
            title: what is asked for.
            hint: what may be typed, in a line.
            value: as it is now.
            offer: how what is typed can be completed.
            judge: says in a line what is wrong with an answer; then the question stays.
        """
        super().__init__()
        self._title, self._hint, self._value, self._offer, self._judge = title, hint, value, offer, judge
        self._offers: Sequence[Offer] = ()

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Label(Content(self._title), id="question-text")
            yield Input(self._value, id="new-value", compact=True)
            yield Label(Content(self._hint), id="setting-hint")
            yield OptionList(id="completions")
            keys = Content.from_markup(
                "[b]tab[/b] complete  [b]↑↓[/b] choose  [b]enter[/b] take it  [b]esc[/b] leave it"
            )
            yield Label(keys, classes="answer")

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        self._show_offers()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Other completions, and what was wrong is mended perhaps."""
        self._say(self._hint, is_wrong=False)
        self._show_offers()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter: what is highlighted in the list, else what is typed."""
        highlighted = self.query_one(OptionList).highlighted
        if highlighted is not None:
            self._take(self._offers[highlighted].value)
        else:
            self._answer(message.value.strip())

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """A click."""
        self._take(self._offers[message.option_index].value)

    def _take(self, value: str) -> None:
        """A folder is opened; anything else is the answer."""
        self._fill(value)
        if not value.endswith("/"):
            self._answer(value)

    def _answer(self, value: str) -> None:
        problem = self._judge(value)
        if problem:
            self._say(problem, is_wrong=True)
        else:
            self.dismiss(value)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def action_complete(self) -> None:
        """As far as all that is offered agrees; one that is highlighted is taken over whole."""
        highlighted = self.query_one(OptionList).highlighted
        if highlighted is not None:
            self._fill(self._offers[highlighted].value)
        elif common := commonprefix([offer.value for offer in self._offers]):  # noqa: RUF071 - of letters
            self._fill(max(common, self.query_one(Input).value, key=len))

    def action_move(self, rows: int) -> None:
        offers = self.query_one(OptionList)
        if self._offers:
            place = -1 if offers.highlighted is None else offers.highlighted
            offers.highlighted = (place + rows) % len(self._offers) if place >= 0 or rows > 0 else len(self._offers) - 1

    def _fill(self, value: str) -> None:
        field = self.query_one(Input)
        field.value = value
        field.cursor_position = len(value)

    def _show_offers(self) -> None:
        self._offers = self._offer(self.query_one(Input).value)
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(Content(offer.text)) for offer in self._offers])

    def _say(self, words: str, *, is_wrong: bool) -> None:
        hint = self.query_one("#setting-hint", Label)
        hint.update(Content(words))
        hint.set_class(is_wrong, "-doubt")


def ask_for_text(present: str) -> PathQuestion:
    """For the text that every preset is to be trained on; an empty answer: each on its own."""
    hint = "A file, a folder or a glob. Empty: each preset's own."
    return PathQuestion("Train on which text?", hint, present, _offer_texts, _judge_text)


def ask_for_base(present: str, runs: Sequence[RunDirectory], now: float) -> PathQuestion:
    """For the model that fine-tuning starts from: one of these runs, or a folder."""
    describe = cache(partial(_run_offer, now=now))

    def offer(typed: str) -> Sequence[Offer]:
        if "/" in typed or typed.startswith((".", "~")):
            return list(_paths(typed, _is_folder))
        found = (run for run in runs if typed.lower() in run.path.name.lower())
        return [describe(run) for run in islice(found, MAX_OFFERED_RUNS)]

    hint = "A run of yours, or a folder with a GPT-2 of Hugging Face."
    return PathQuestion("Start from which model?", hint, present, offer, _judge_base)


def _run_offer(run: RunDirectory, now: float) -> Offer:
    row = describe_run(run, now)
    told = [row.data, row.changed, f"val {row.best}"]
    return Offer(row.name, "  ".join([row.name, ", ".join(filter(None, told))]))


def _offer_texts(typed: str) -> Sequence[Offer]:
    start = typed.rpartition("/")[2]
    return list(_paths(typed, lambda entry: bool(start) or _is_folder(entry) or _has_text_suffix(entry)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry.path)  # noqa: PTH112 - DirEntry.is_dir raises for a link that leads to itself


def _has_text_suffix(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in TEXT_SUFFIXES


def _paths(typed: str, is_offered: Callable[[os.DirEntry[str]], bool]) -> Iterator[Offer]:
    """What lies in the folder that is typed and begins as typed; a folder ends with a slash."""
    folder, slash, start = typed.rpartition("/")
    try:
        place = Path(folder + slash or ".").expanduser()
        with os.scandir(place) as entries:
            found = sorted(islice(entries, MAX_SEEN), key=lambda entry: entry.name.lower())
    except (OSError, RuntimeError, ValueError):  # no such folder, no home, or no possible path
        return
    matching = (
        entry
        for entry in found
        if entry.name.lower().startswith(start.lower())
        and entry.name.startswith(".") == start.startswith(".")
        and entry.name.isprintable()
        and is_offered(entry)
    )
    for entry in islice(matching, MAX_OFFERED):
        name = entry.name + ("/" if _is_folder(entry) else "")
        yield Offer(folder + slash + name, name)


def _judge_text(value: str) -> str | None:
    """What is wrong with a text, as far as its first megabyte shows; a folder is searched by the picker."""
    if not value or os.path.isdir(os.path.expanduser(value)):  # noqa: PTH111, PTH112 - Path raises for what cannot be
        return None
    try:
        open_corpus(parse_config({"data": {"paths": [value]}}, "text").data).beginning()
    except UserError as error:
        return safe_line(str(error).splitlines()[0])
    except OSError as error:  # for instance the current folder is gone
        return safe_line(f"{value}: {error.strerror}")
    return None


def _judge_base(value: str) -> str | None:
    try:
        find_base(os.path.expanduser(value))  # noqa: PTH111
    except UserError as error:
        return safe_line(str(error).splitlines()[0])
    return None
