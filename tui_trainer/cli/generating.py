"""`tui-trainer generate`: a checkpoint writes to the terminal or into a pipe."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from tui_trainer.errors import UserError
from tui_trainer.monitor.safe_text import safe_line, safe_text
from tui_trainer.runs.catalogue import find_run


def print_text(run_name: str, prompt: str | None, changes: dict[str, Any], checkpoint: str) -> None:
    """Streams the prompt and what the model makes of it to standard output; who speaks goes to standard error.

    Raises:
        UserError: for a run, a checkpoint or a setting that cannot be used.
    """
    if checkpoint not in ("best", "last"):
        raise UserError(f"--checkpoint {checkpoint}: must be best or last")
    run = find_run(run_name)
    config = run.read_config()

    from tui_trainer.inference.generator import TextGenerator
    from tui_trainer.inference.settings import settings_from

    settings = dataclasses.replace(settings_from(config.sampling), **changes)
    generator = TextGenerator(run, "last" if checkpoint == "last" else "best")
    speaker = generator.refresh()
    if prompt is None:
        prompt = next(iter(config.sampling.prompts), "")
    _note(f"step {speaker.step:,}" + ("" if speaker.val_loss is None else f", val {speaker.val_loss:.3f}"))
    if speaker.warning:
        sys.stderr.write(safe_line(speaker.warning) + "\n")
    if replaced := generator.replaced_characters(prompt):
        sys.stderr.write(f"{replaced} characters of the prompt are not in the vocabulary and were replaced\n")
    show = safe_text if sys.stdout.isatty() else str
    sys.stdout.write(show(prompt))
    for piece in generator.stream(prompt, settings):
        sys.stdout.write(show(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


def _note(text: str) -> None:
    """Decoration is for people: a pipe gets the text alone."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        sys.stderr.write(f"[{safe_line(text)}]\n")
