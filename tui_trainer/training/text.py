"""The text of a run as tokens: of a new run, and of a resumed one, which must train on the text it knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tui_trainer.config import DataConfig, RunConfig
from tui_trainer.data.batches import check_lengths, explain_repetition
from tui_trainer.data.corpus import Corpus, explain_line_ends, open_corpus
from tui_trainer.data.tokenizers import CharTokenizer, Tokenizer, load_tokenizer
from tui_trainer.data.tokens import OnProgress, TokenSplit, find_tokens, prepare_tokens, tokens_key
from tui_trainer.errors import UserError
from tui_trainer.events import Event, PhaseStarted
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import replace_file
from tui_trainer.runs.status import StatusFile
from tui_trainer.training.interruption import ControlDesk
from tui_trainer.training.launch import NewRun, ResumedRun
from tui_trainer.training.notices import Notice
from tui_trainer.training.resumption import Origin

GONE = "gone"
MAX_UNKNOWN = 0.2
"""The share of a text's characters above which an alphabet is that of another language."""


@dataclass(frozen=True)
class Text:
    """Tokenizer and tokens. `is_changed`: they are not what the run was trained on, and that was allowed."""

    name: str
    tokenizer: Tokenizer
    split: TokenSplit
    key: str
    """Under which the tokens are kept."""
    seen: str
    """The signature of the files that the tokens were made of."""
    said: str = ""
    """The signature of other files in their place, or GONE, that was reported already."""
    is_changed: bool = False
    notices: tuple[Notice, ...] = ()

    def remember(self, run: RunDirectory, **settled: str) -> None:
        """Writes into run.json what a resume must find again, and what else was settled."""
        known = {
            "data": self.name,
            "data_fingerprint": self.split.fingerprint,
            "data_seen": self.seen,
            "data_said": self.said,
            "tokenizer_fingerprint": self.tokenizer.fingerprint,
            "tokens": self.key,
        }
        replace_file(run.manifest, json.dumps(run.describe() | known | settled, indent=2).encode())


def prepare_text(
    run: RunDirectory,
    request: NewRun | ResumedRun,
    origin: Origin | None,
    control: ControlDesk,
    status: StatusFile,
    emit: Callable[[Event], None],
) -> Text:
    """Text to tokens. A resumed run that still has its tokens opens no text.

    A new run learns its tokenizer and keeps it; one that has one, its own or a base's, uses that.

    Raises:
        UserError: when the text cannot be used, is too short, or is not the one the run was trained on and that was
            not allowed.
        StopRequested: when it was stopped meanwhile.
    """
    emit(PhaseStarted("preparing_data"))
    status.update(phase="preparing_data")
    control.check_in_place()

    def on_progress(done: int, total: int) -> None:
        control.check_in_place()
        status.update(phase_done=done, phase_total=total)

    if isinstance(request, ResumedRun):
        assert origin is not None
        text = _resumed_text(run, request, origin, on_progress)
    else:
        text = _new_text(run, request.config, control, on_progress)
    check_lengths(text.split, request.config, text.name)
    return text


def _new_text(run: RunDirectory, config: RunConfig, control: ControlDesk, on_progress: OnProgress) -> Text:
    corpus = open_corpus(config.data)
    has_base = config.base.path is not None
    known = load_tokenizer(run.tokenizer) if has_base else None
    seen = corpus.signature()
    tokenizer, split = prepare_tokens(corpus, config.data, tokenizer=known, on_progress=on_progress, spare=run.tokens)
    tokenizer.save(run.tokenizer)
    notices = _explain_unknown(corpus, tokenizer, control) if has_base else ()
    if repetition := explain_repetition(split, config):
        notices += (Notice("tokenizer", *repetition),)
    if line_ends := explain_line_ends(corpus.name, corpus.beginning()):
        notices += (Notice("line_ends", *line_ends),)
    key = tokens_key(split.fingerprint, tokenizer.fingerprint, config.data.val_fraction)
    return Text(corpus.name, tokenizer, split, key, seen, notices=notices)


def _resumed_text(run: RunDirectory, request: ResumedRun, origin: Origin, on_progress: OnProgress) -> Text:
    config, tokenizer = request.config.data, load_tokenizer(run.tokenizer)
    # A checkpoint knows best what it was trained on: a kill may have come before run.json was written.
    known = run.describe() | origin.checkpoint.state.get("text", {})
    if not request.allow_changed_data and known.get("tokenizer_fingerprint", tokenizer.fingerprint) != (
        tokenizer.fingerprint
    ):
        raise _changed_text(run, f"{run.tokenizer}: the tokenizer")
    key = tokens_key(str(known.get("data_fingerprint", "")), tokenizer.fingerprint, config.val_fraction)
    found = None if request.allow_changed_data or request.data else find_tokens(known.get("tokens", key), run.tokens)
    if found:
        now, notices = _compare_files(config, known)
        seen = str(known.get("data_seen", "" if now == GONE else now))
        name = str(known.get("data", ""))
        return Text(name, tokenizer, found, known.get("tokens", key), seen, said=now, notices=notices)
    corpus = open_text_of(run, config)
    seen = corpus.signature()
    measure = corpus.measure(lambda done: on_progress(min(done, corpus.size_bytes), 2 * corpus.size_bytes))
    is_same = measure.fingerprint == known.get("data_fingerprint")
    if not is_same and not request.allow_changed_data:
        raise _changed_text(run, f"{corpus.name}: the text")
    trained = origin.config
    is_split_alike = trained is None or trained.data.val_fraction == config.val_fraction
    is_tokenized_alike = known.get("tokenizer_fingerprint", tokenizer.fingerprint) == tokenizer.fingerprint
    is_changed = not (is_same and is_split_alike and is_tokenized_alike)
    _, split = prepare_tokens(corpus, config, tokenizer=tokenizer, on_progress=on_progress, spare=run.tokens)
    key = tokens_key(split.fingerprint, tokenizer.fingerprint, config.val_fraction)
    return Text(corpus.name, tokenizer, split, key, seen, is_changed=is_changed)


def open_text_of(run: RunDirectory, config: DataConfig) -> Corpus:
    """The files of a run's text.

    Raises:
        UserError: when they are not where they were; it names `--data`.
    """
    try:
        return open_corpus(config)
    except UserError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{reason}\nthe text of {run.run_id} has to be read again; give its path with --data PATH"
        ) from error


def load_split(
    run: RunDirectory, config: DataConfig, tokenizer: Tokenizer, data: Sequence[str], on_progress: OnProgress
) -> TokenSplit:
    """A run's text as a tokenizer encodes it: the tokens that are cached, else made of the files of that very text.

    Args:
        run: whose text.
        config: its `data` section.
        tokenizer: its own, or that of a model it is compared with.
        data: where the text is now; empty: where it was.
        on_progress: called while the text is read, with (bytes done, bytes to do).

    Raises:
        UserError: when the text is gone or is another one.
    """
    known = run.describe()
    fingerprint = str(known.get("data_fingerprint", ""))
    split = find_tokens(tokens_key(fingerprint, tokenizer.fingerprint, config.val_fraction), run.tokens)
    if split and not data:
        return split
    corpus = open_text_of(run, config.model_copy(update={"paths": tuple(data)}) if data else config)
    measure = corpus.measure(lambda done: on_progress(min(done, corpus.size_bytes), 2 * corpus.size_bytes))
    if fingerprint and measure.fingerprint != fingerprint:
        raise UserError(
            f"{corpus.name}: not the text that {run.path} was trained on\nname where that text is with --data PATH"
        )
    return prepare_tokens(corpus, config, tokenizer=tokenizer, on_progress=on_progress)[1]


def _compare_files(config: DataConfig, known: dict[str, Any]) -> tuple[str, tuple[Notice, ...]]:
    """The signature of the files now, of a run that needs them no more, and what a person should know of it, once."""
    try:
        now = open_corpus(config).signature()
        evidence = f"{known.get('data')}: its size or modification time has changed"
        remedy = "The run keeps the tokens it has. To read the text again, resume it with --allow-changed-data."
    except UserError as error:
        now, evidence = GONE, str(error).splitlines()[0]
        remedy = "The run keeps the tokens it has. If the text has moved, resume it with --data PATH."
    seen = known.get("data_seen")
    is_news = now == GONE or (bool(seen) and now != seen)
    if not is_news or now == known.get("data_said"):
        return now, ()
    return now, (Notice("data", evidence, remedy),)


def _changed_text(run: RunDirectory, what: str) -> UserError:
    return UserError(
        f"{what} is not the one that {run.path} was trained on\n"
        "put the old one back, name it with --data PATH, or start a new run with tui-trainer train;\n"
        "to continue with it as it is: --allow-changed-data"
    )


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
