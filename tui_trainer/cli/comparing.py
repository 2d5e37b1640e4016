"""`tui-trainer compare`: two models side by side, as one and what it was made from."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from tui_trainer.errors import UserError
from tui_trainer.inference.writer import prompt_remarks
from tui_trainer.monitor import numbers
from tui_trainer.monitor.columns import align_lines
from tui_trainer.monitor.safe_text import safe_line, safe_text
from tui_trainer.runs.catalogue import EXPORT_CARD, find_base, is_run, list_runs
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui.lines import wrap

if TYPE_CHECKING:
    from tui_trainer.training.comparison import Compared

RUN_ID = re.compile(r"\d{8}-\d{6}-.+")
UNREADABLE_MODELS = (EXPORT_CARD, "adapter_config.json")
"""What lies in a folder with a model that is for other programs, or only a part of one."""
DIVIDER = " │ "
LITTLE = 0.01
"""Of the length of the weights: below it a text often stays the same to its last word."""
LEAST_COLUMN = 24
"""Cells of a column below which two texts are easier to read one after the other."""


def compare(
    words: Sequence[str],
    prompts: Sequence[str],
    other: str | None,
    checkpoint: str,
    changes: dict[str, Any],
    data: list[str],
) -> None:
    """Prints figures of two models, then what each makes of the same prompts with the same seed.

    Args:
        words: a run or a folder with a model; then perhaps a second one, and prompts.
        prompts: more of them, whatever they look like.
        other: the second model.
        checkpoint: best or last, of the run whose settings and validation text are used.
        changes: sampling settings that differ from that run's.
        data: where its text is now, if it has moved.

    Raises:
        UserError: for a run, a model or a setting that cannot be used.
    """
    if checkpoint not in ("best", "last"):
        raise UserError(f"--checkpoint {checkpoint}: must be best or last")
    models, typed = _sort(words)
    run, beside = _choose([*models, *([find_base(other)] if other else [])])
    config = run.read_config()

    from tui_trainer.inference.settings import settings_from

    settings = dataclasses.replace(settings_from(config.sampling), **{"seed": config.training.seed} | changes)
    own, other_model, is_base = _open_both(run, beside, checkpoint)
    sides = (other_model, own) if is_base or models[0] != run.path else (own, other_model)
    labels = ("base", "tuned") if is_base else (safe_line(sides[0].name), safe_line(sides[1].name))
    _write_lines(_figures(*sides, run, data, is_base=is_base))
    for prompt in (*typed, *prompts) or config.sampling.prompts or ("",):
        ids, replaced = own.tokenizer.encode_prompt(prompt)
        for remark in prompt_remarks(replaced, len(ids), own.context_length):
            _note(f"of the prompt {remark}")
        _write_lines(_texts(prompt, labels, [side.write(prompt, settings) for side in sides]))


def _sort(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The models and the prompts among what was typed; what comes first is a model."""
    models, prompts = [find_base(words[0])], []
    for word in words[1:]:
        if model := _find_model(word):
            models.append(model)
        else:
            prompts.append(word)
    return models, prompts


def _find_model(word: str) -> Path | None:
    """The run or the folder that a word names; None for any other word.

    Raises:
        UserError: when it can only be meant as a model, but there is none, or several, or one that cannot be read.
    """
    try:
        return find_base(word)
    except UserError as error:
        if RUN_ID.fullmatch(Path(word).name):
            raise UserError(f"{error}\na prompt that looks like a run: --prompt {word}") from error
        is_unreadable = word and any(os.path.isfile(Path(word) / name) for name in UNREADABLE_MODELS)  # noqa: PTH113
        if is_unreadable or any(word in (run.run_id, run.path.name) for run in list_runs()):
            raise
    return None


def _choose(models: Sequence[Path]) -> tuple[RunDirectory, Path | None]:
    """The run whose settings and text are used, and the model beside it; None: the one it was made from."""
    if len(models) > 2:
        names = ", ".join(path.name for path in models)
        raise UserError(f"{names}: these are {len(models)} models, and two can be compared\na prompt: --prompt TEXT")
    runs = [RunDirectory(path) for path in models if is_run(path)]
    if not runs:
        raise UserError(f"{models[0].name}: no run, and a run's validation text is needed; name one beside it")
    if len(runs) == 2 and _recorded_base(runs[1]) == models[0]:
        runs.reverse()
    beside = [path for path in models if path != runs[0].path]
    return runs[0], beside[0] if beside else models[0] if models[1:] else None


def _recorded_base(run: RunDirectory) -> Path | None:
    """Where the model is that a run was made from; None when it was made from none, or that one is gone."""
    described = run.describe().get("base")
    path = described.get("path") if isinstance(described, dict) else None
    try:
        return find_base(path) if isinstance(path, str) else None
    except UserError:
        return None


def _open_both(run: RunDirectory, beside: Path | None, checkpoint: str) -> tuple[Compared, Compared, bool]:
    """The run's model, the other one, and whether that is its base; what is to be known goes to standard error."""
    described = run.describe().get("base")
    recorded = described if isinstance(described, dict) else {}
    path = beside or _base_path(run, recorded)
    is_base = path == _recorded_base(run)

    from tui_trainer.checkpoints import CheckpointStore
    from tui_trainer.training.comparison import Compared

    own = Compared(run.path, "last" if checkpoint == "last" else "best")
    step = recorded.get("step") if is_base else None
    kept = CheckpointStore(RunDirectory(path).checkpoints).steps()
    other = Compared(path, step if isinstance(step, int) and step in kept else "best")
    if own.name == other.name:
        own.name, other.name = _distinct_names(run.path, path)
    for notice in (*other.notices, *own.notices):
        _note(notice)
    if is_base and recorded.get("sha256", other.fingerprint) != other.fingerprint:
        _note(f"{other.name} is not what {own.name} went on from: its weights have changed since")
    is_base = is_base or recorded.get("sha256") == other.fingerprint  # as of a base that was moved
    if is_base and own.step == 0:
        _note("the best checkpoint is that of step 0, the base itself: try --checkpoint last, or train on")
    if not is_base:
        _note(f"both read the validation text of {own.name}")
    return own, other, is_base


def _distinct_names(one: Path, other: Path) -> tuple[str, str]:
    """What to call two models of one name: a copy keeps the id of its original, and two starts may share a second."""
    return (one.name, other.name) if one.name != other.name else (str(one), str(other))


def _base_path(run: RunDirectory, described: dict[str, Any]) -> Path:
    """Where the base of a run is."""
    path = described.get("path")
    if not isinstance(path, str):
        raise UserError(
            f"{run.run_id}: goes on from no other model\nname one beside it: compare {run.run_id} RUN|MODEL_DIR"
        )
    try:
        return find_base(path)
    except UserError as error:
        raise UserError(
            f"{path}: the base of {run.run_id} is not there any more\nname another one: --with RUN"
        ) from error


def _figures(one: Compared, other: Compared, run: RunDirectory, data: list[str], *, is_base: bool) -> list[str]:
    """Who they are, how well each reads the run's validation text, and how far their weights are apart."""
    rows = [("", "base", "tuned")] if is_base else []
    rows.append(("", safe_line(one.name), safe_line(other.name)))
    rows.append(("step", numbers.whole(one.step), numbers.whole(other.step)))
    rows += [*_measurements(one, other, run, data), *_changes(one, other, is_base=is_base)]
    return align_lines(rows, right=frozenset({1, 2}))


def _measurements(base: Compared, tuned: Compared, run: RunDirectory, data: list[str]) -> list[tuple[str, str, str]]:
    """None when the text is gone: the prompts can be compared without it."""
    from tui_trainer.training.text import load_split

    context_length, config = min(base.context_length, tuned.context_length), run.read_config().data
    try:
        splits = [load_split(run, config, side.tokenizer, data, _look_away) for side in (base, tuned)]
        found = [side.measure(split, context_length) for side, split in zip((base, tuned), splits, strict=True)]
    except UserError as error:
        _note(f"no perplexity: {error}")
        return []
    # Two vocabularies cut a text into different tokens: only what is counted in bytes can then be compared.
    is_same = base.tokenizer.fingerprint == tuned.tokenizer.fingerprint
    rows = {
        "val loss": [numbers.loss(each.loss) for each in found],
        "val perplexity": [numbers.perplexity(each.perplexity) for each in found],
        "val accuracy": [numbers.percent(each.accuracy) for each in found],
    }
    told = {
        "tokens measured": [numbers.whole(each.tokens) for each in found],
        "bits a byte": [numbers.loss(each.bits_per_byte) for each in found],
    }
    return [(name, one, other) for name, (one, other) in ((rows | told) if is_same else told).items()]


def _look_away(_done: int, _total: int) -> None:
    """Nobody stops a comparison but by Ctrl-C."""


def _changes(one: Compared, other: Compared, *, is_base: bool) -> list[tuple[str, str, str]]:
    """How far the weights moved, which is what there is to see before the text shows it."""
    from tui_trainer.training.comparison import ALL_WEIGHTS, changes_between

    changes = changes_between(one, other)
    if not changes:
        _note("the two are of different shapes: how far apart their weights are cannot be said")
        return []
    if is_base and 0 < changes[ALL_WEIGHTS] < LITTLE:
        _note("the weights moved little: more comes of --set training.epochs=10 or training.learning_rate=1e-4")
    moved = [(part, f"{100 * change:{'.0f' if change > 1 else '.2g'}} %") for part, change in changes.items()]
    return [
        ("weights moved by" if is_base else "weights differ by", "", ""),
        *((f"  {part}", "", figure) for part, figure in moved),
    ]


def _texts(prompt: str, labels: Sequence[str], texts: Sequence[str]) -> Iterator[str]:
    """A prompt, and below it both texts: beside each other on a terminal, else one after the other."""
    width = (shutil.get_terminal_size().columns - cell_len(DIVIDER)) // 2
    yield ""
    yield f"prompt: {safe_line(prompt)}"
    if _has_terminal() and width >= LEAST_COLUMN:
        heads = [wrap(label, width) for label in labels]
        height = max(map(len, heads)) + 1
        yield from _columns(
            *(
                [*head, *[""] * (height - len(head)), *wrap(safe_text(text), width)]
                for head, text in zip(heads, texts, strict=True)
            )
        )
        return
    show: Callable[[str], str] = safe_text if _has_terminal() else str
    for label, text in zip(labels, texts, strict=True):
        yield f"{label}: {show(text)}"


def _columns(left: list[str], right: list[str]) -> Iterator[str]:
    width = max(map(cell_len, left))
    for one, other in zip_longest(left, right, fillvalue=""):
        yield f"{one}{' ' * (width - cell_len(one))}{DIVIDER}{other}".rstrip()


def _write_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"note: {safe_line(text)}\n")


def _has_terminal() -> bool:
    return sys.stdout.isatty()
