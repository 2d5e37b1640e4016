"""`tui-trainer compare`: a model and the one it was made from, side by side."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from tui_trainer.errors import UserError
from tui_trainer.inference.writer import prompt_remarks
from tui_trainer.monitor import numbers
from tui_trainer.monitor.columns import align_lines
from tui_trainer.monitor.safe_text import safe_line, safe_text
from tui_trainer.runs.catalogue import find_base, find_run
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.tui.lines import wrap

if TYPE_CHECKING:
    from tui_trainer.training.comparison import Compared

DIVIDER = " │ "
LITTLE = 0.01
"""Of the length of the weights: below it a text often stays the same to its last word."""
LEAST_COLUMN = 24
"""Cells of a column below which two texts are easier to read one after the other."""


def compare(
    run_name: str, prompts: list[str], other: str | None, checkpoint: str, changes: dict[str, Any], data: list[str]
) -> None:
    """Prints figures of both, then what each makes of the same prompts with the same seed.

    `data` is where the run's text is now, if it has moved.

    Raises:
        UserError: for a run, a base or a setting that cannot be used.
    """
    if checkpoint not in ("best", "last"):
        raise UserError(f"--checkpoint {checkpoint}: must be best or last")
    run = find_run(run_name)
    config = run.read_config()

    from tui_trainer.inference.settings import settings_from

    settings = dataclasses.replace(settings_from(config.sampling), **{"seed": config.training.seed} | changes)
    base, tuned = _open_both(run, other, checkpoint)
    _write_lines(_figures(base, tuned, run, data))
    for prompt in prompts or config.sampling.prompts or ("",):
        ids, replaced = tuned.tokenizer.encode_prompt(prompt)
        for remark in prompt_remarks(replaced, len(ids), tuned.context_length):
            _note(f"of the prompt {remark}")
        _write_lines(_texts(prompt, *(side.write(prompt, settings) for side in (base, tuned))))


def _open_both(run: RunDirectory, other: str | None, checkpoint: str) -> tuple[Compared, Compared]:
    """The base and the tuned model; what is to be known of them goes to standard error."""
    described = run.describe().get("base")
    named = described if isinstance(described, dict) and not other else {}
    path = find_base(other) if other else _base_path(run, named)

    from tui_trainer.checkpoints import CheckpointStore
    from tui_trainer.training.comparison import Compared

    tuned = Compared(run.path, "last" if checkpoint == "last" else "best")
    step = named.get("step")
    kept = CheckpointStore(RunDirectory(path).checkpoints).steps()
    base = Compared(path, step if isinstance(step, int) and step in kept else "best")
    for notice in (*base.notices, *tuned.notices):
        _note(notice)
    if named.get("sha256", base.fingerprint) != base.fingerprint:
        _note(f"{base.name} is not what {tuned.name} went on from: its weights have changed since")
    if named and tuned.step == 0:
        _note("the best checkpoint is that of step 0, the base itself: try --checkpoint last, or train on")
    return base, tuned


def _base_path(run: RunDirectory, described: dict[str, Any]) -> Path:
    """Where the base of a run is."""
    path = described.get("path")
    if not isinstance(path, str):
        raise UserError(f"{run.run_id}: goes on from no other model\nname one to compare it with: --with RUN|MODEL_DIR")
    try:
        return find_base(path)
    except UserError as error:
        raise UserError(
            f"{path}: the base of {run.run_id} is not there any more\nname another one: --with RUN"
        ) from error


def _figures(base: Compared, tuned: Compared, run: RunDirectory, data: list[str]) -> list[str]:
    """Who they are, how well each reads the run's validation text, and how far the weights moved."""
    rows = [("", "base", "tuned"), ("", safe_line(base.name), safe_line(tuned.name))]
    rows.append(("step", numbers.whole(base.step), numbers.whole(tuned.step)))
    rows += [*_measurements(base, tuned, run, data), *_changes(base, tuned)]
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


def _changes(base: Compared, tuned: Compared) -> list[tuple[str, str, str]]:
    """How far the weights moved, which is what there is to see before the text shows it."""
    from tui_trainer.training.comparison import ALL_WEIGHTS, changes_between

    changes = changes_between(base, tuned)
    if not changes:
        _note("the two are of different shapes: how far the weights moved cannot be said")
        return []
    if 0 < changes[ALL_WEIGHTS] < LITTLE:
        _note("the weights moved little: more comes of --set training.epochs=10 or training.learning_rate=1e-4")
    moved = [(part, f"{100 * change:.2g} %") for part, change in changes.items()]
    return [("weights moved by", "", ""), *((f"  {part}", "", figure) for part, figure in moved)]


def _texts(prompt: str, one: str, other: str) -> Iterator[str]:
    """A prompt, and below it both texts: beside each other on a terminal, else one after the other."""
    width = (shutil.get_terminal_size().columns - cell_len(DIVIDER)) // 2
    yield ""
    yield f"prompt: {safe_line(prompt)}"
    if _has_terminal() and width >= LEAST_COLUMN:
        yield from _columns(["base", "", *wrap(safe_text(one), width)], ["tuned", "", *wrap(safe_text(other), width)])
        return
    show: Callable[[str], str] = safe_text if _has_terminal() else str
    yield f"base: {show(one)}"
    yield f"tuned: {show(other)}"


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
