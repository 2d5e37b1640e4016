"""`tui-trainer generate`: a model writes to the terminal or into a pipe."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.cli.writers import find_trainings_beside
from tui_trainer.config import SamplingConfig
from tui_trainer.errors import UserError
from tui_trainer.inference.generation import PACED_TOKENS_PER_SECOND
from tui_trainer.inference.settings import SamplingSettings, settings_from
from tui_trainer.monitor.safe_text import safe_line, safe_text
from tui_trainer.runs.catalogue import find_base, is_run
from tui_trainer.runs.directory import RunDirectory

if TYPE_CHECKING:
    from tui_trainer.inference.generator import TextGenerator

MAX_SAMPLES = 64


def print_text(
    name: str,
    prompt: str | None,
    changes: dict[str, Any],
    checkpoint: str,
    samples: int,
    *,
    is_paced: bool,
) -> None:
    """Streams the prompt and what the model makes of it to standard output; who speaks goes to standard error.

    Args:
        name: a run, or a folder with a model.
        prompt: None: the first one of the run's configuration.
        changes: settings that differ from the run's.
        checkpoint: best or last.
        samples: how many texts; several are written at once, and shown when they are complete, each below a line
            such as `=== 1 of 3 ===`.
        is_paced: whether a training on this machine comes first.

    Raises:
        UserError: for a model, a checkpoint or a setting that cannot be used.
    """
    if checkpoint not in ("best", "last"):
        raise UserError(f"--checkpoint {checkpoint}: must be best or last")
    if not 1 <= samples <= MAX_SAMPLES:
        raise UserError(f"--samples {samples}: must be 1 to {MAX_SAMPLES}")
    path = find_base(name)
    place = RunDirectory(path) if is_run(path) else path
    if checkpoint != "best" and not isinstance(place, RunDirectory):
        raise UserError(f"--checkpoint {checkpoint}: {name} is no run and holds one model only; leave it out")
    sampling = place.read_config().sampling if isinstance(place, RunDirectory) else SamplingConfig()
    settings = dataclasses.replace(settings_from(sampling), **changes)
    if prompt is None:
        prompt = next(iter(sampling.prompts), "")

    busy = find_trainings_beside(place)
    generator = _open(place, checkpoint, prompt, is_alone=not busy)
    pace = PACED_TOKENS_PER_SECOND / samples if busy and is_paced else None
    if pace:
        name = safe_line(busy[0].run_id)
        rate = f"{pace * samples:.0f} tokens a second"
        sys.stderr.write(f"{name} trains here, so {rate}; --unpaced writes faster and slows the training down\n")
    show = safe_text if sys.stdout.isatty() else str
    if samples == 1:
        _stream(generator, prompt, settings, pace, show)
    else:
        _write_several(generator, [prompt] * samples, settings, pace, show)


def _open(place: RunDirectory | Path, checkpoint: str, prompt: str, *, is_alone: bool) -> TextGenerator:
    """Loads the model and says who speaks, and what is to be known of it and of the prompt."""
    from tui_trainer.inference.generator import TextGenerator

    generator = TextGenerator(place, "last" if checkpoint == "last" else "best")
    speaker = generator.refresh(is_alone=is_alone)
    _note(f"step {speaker.step:,}" + ("" if speaker.val_loss is None else f", val {speaker.val_loss:.3f}"))
    if speaker.warning:
        sys.stderr.write(safe_line(speaker.warning) + "\n")
    for remark in generator.remarks(prompt):
        sys.stderr.write(f"of the prompt {remark}\n")
    return generator


def _stream(
    generator: TextGenerator, prompt: str, settings: SamplingSettings, pace: float | None, show: Callable[[str], str]
) -> None:
    sys.stdout.write(show(prompt))
    for piece in generator.stream(prompt, settings, tokens_per_second=pace):
        sys.stdout.write(show(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


def _write_several(
    generator: TextGenerator,
    prompts: list[str],
    settings: SamplingSettings,
    pace: float | None,
    show: Callable[[str], str],
) -> None:
    texts = list(prompts)
    for pieces in generator.pieces_together(prompts, settings, tokens_per_second=pace):
        texts = [text + piece.text for text, piece in zip(texts, pieces, strict=True)]
    for number, text in enumerate(texts, 1):
        # An empty line would not do, in a pipe either: the texts have empty lines of their own.
        sys.stdout.write(f"=== {number} of {len(texts)} ===\n{show(text)}\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    """Decoration is for people: a pipe gets the text alone."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        sys.stderr.write(f"[{safe_line(text)}]\n")
