"""The text of a run as tokens: of a new run, and of one that goes on and must find the text it knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tui_trainer.data.batches import check_lengths
from tui_trainer.data.corpus import Corpus, open_corpus
from tui_trainer.data.tokenizers import CharTokenizer, Tokenizer, load_tokenizer
from tui_trainer.data.tokens import TokenSplit, prepare_tokens
from tui_trainer.errors import UserError
from tui_trainer.events import Event, PhaseStarted
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import replace_file
from tui_trainer.runs.status import StatusFile
from tui_trainer.training.interruption import ControlDesk
from tui_trainer.training.launch import NewRun, ResumedRun
from tui_trainer.training.notices import Notice

MAX_UNKNOWN = 0.2
"""The share of a text's characters above which an alphabet is that of another language."""


@dataclass(frozen=True)
class Text:
    """Tokenizer and tokens. `is_changed`: they are not what the run was trained on, and that was allowed."""

    name: str
    tokenizer: Tokenizer
    split: TokenSplit
    is_changed: bool = False
    notices: tuple[Notice, ...] = ()

    def remember(self, run: RunDirectory, **settled: str) -> None:
        """Writes into the run what a resume must find again, and what else was settled."""
        marks = {"data": self.name, **_marks(self), **settled}
        replace_file(run.manifest, json.dumps(run.describe() | marks, indent=2).encode())


def prepare_text(
    run: RunDirectory,
    request: NewRun | ResumedRun,
    control: ControlDesk,
    status: StatusFile,
    emit: Callable[[Event], None],
) -> Text:
    """Text to tokens. A new run learns its tokenizer and keeps it; one that has one, its own or a base's, takes that.

    Raises:
        UserError: when the text cannot be used, is too short, or is no longer the same and that was not allowed.
        StopRequested: when it was stopped meanwhile.
    """
    config = request.config
    corpus = open_corpus(config.data)
    emit(PhaseStarted("preparing_data"))
    status.update(phase="preparing_data")

    def on_progress(done: int, total: int) -> None:
        control.check_in_place()
        status.update(phase_done=done, phase_total=total)

    is_given = isinstance(request, ResumedRun) or config.base.path is not None
    known = load_tokenizer(run.tokenizer) if is_given else None
    tokenizer, split = prepare_tokens(corpus, config.data, tokenizer=known, on_progress=on_progress)
    check_lengths(split, config, corpus.name)
    if isinstance(request, NewRun):
        tokenizer.save(run.tokenizer)
        notices = _explain_unknown(corpus, tokenizer, control) if is_given else ()
        return Text(corpus.name, tokenizer, split, notices=notices)
    text = Text(corpus.name, tokenizer, split)
    changed = _changed(run, text)
    if changed and not request.allow_changed_data:
        raise UserError(
            f"{changed} is not the one that {run.path} was trained on\n"
            "put the old one back, or start a new run with tui-trainer train;\n"
            "to go on with it as it is: --allow-changed-data"
        )
    return Text(corpus.name, tokenizer, split, is_changed=bool(changed))


def _explain_unknown(corpus: Corpus, tokenizer: Tokenizer, control: ControlDesk) -> tuple[Notice, ...]:
    """What the characters that an alphabet lacks become.

    Raises:
        UserError: when there are so many that nothing could be learned from what is left.
    """
    if not isinstance(tokenizer, CharTokenizer):
        return ()
    unknown: Counter[str] = Counter()
    known, total = set(tokenizer.alphabet), 0
    for chunk in corpus.chunks(1 << 20):
        control.check_in_place()
        total += len(chunk)
        unknown.update({letter: count for letter, count in Counter(chunk).items() if letter not in known})
    count = unknown.total()
    if not count:
        return ()
    shown = " ".join(repr(letter)[1:-1] for letter, _ in unknown.most_common(5))
    evidence = f"{count:,} of {total:,} characters of {corpus.name} are not among the base's {len(known)}: {shown}"
    if count > MAX_UNKNOWN * total:
        raise UserError(f"{evidence}\ngo on from a base with a bpe, gpt2 or bytes tokenizer, or train a new model")
    return (Notice("vocabulary", evidence, f"Each is read as {tokenizer.stand_in!r}; such a base cannot learn them."),)


def _marks(text: Text) -> dict[str, Any]:
    return {"data_fingerprint": text.split.fingerprint, "tokenizer_fingerprint": text.tokenizer.fingerprint}


def _changed(run: RunDirectory, text: Text) -> str:
    """What is no longer the same, as the first words of a message; empty when nothing is."""
    before, marks = run.describe(), _marks(text)
    if before.get("data_fingerprint") != marks["data_fingerprint"]:
        return f"{text.name}: the text"
    if before.get("tokenizer_fingerprint", marks["tokenizer_fingerprint"]) != marks["tokenizer_fingerprint"]:
        return f"{run.tokenizer}: the tokenizer"
    return ""
