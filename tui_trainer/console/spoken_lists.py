"""Presets and runs to choose from, a short sentence each."""

from __future__ import annotations

import re

from tui_trainer.console.spoken_words import about, in_words, loss, sentence, verbatim, whole
from tui_trainer.monitor.forecast import Forecast
from tui_trainer.monitor.run_list import describe_run
from tui_trainer.presets import Preset
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status


def preset_sentence(preset: Preset, forecast: Forecast) -> str:
    """Its name, what it is for, and how long it takes, why it cannot start here or had better not."""
    if forecast.problem:
        end = f"Cannot start here: {in_words(forecast.problem)}"
    elif forecast.seconds is not None:
        end = about(forecast.seconds)
    else:
        end = in_words(_first_sentence(preset.duration))
    alarm = f"It {in_words(forecast.alarm)}" if forecast.alarm else ""
    told = [sentence(part) for part in (in_words(_first_sentence(preset.purpose)), end, alarm) if part]
    return " ".join([f"{verbatim(preset.name)}.", *told])


def run_sentence(run: RunDirectory, now: float) -> str:
    """Its name, its text, what differs from its preset, what it is doing or how it ended, and how far it got.

    Args:
        run: read from its directory.
        now: Unix seconds.
    """
    status, best = read_status(run.status_file), run.best_metrics().get("val_loss")
    told = describe_run(run, now)
    parts = [verbatim(told.name), *(verbatim(part) for part in (told.data, told.changed) if part), verbatim(told.state)]
    if status:
        parts.append(f"step {whole(status.step)} of {whole(status.max_steps)}")
    if best is not None:
        parts.append(f"best validation loss {loss(best)}")
    return f"{', '.join(parts)}."


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.:;?!]) ", text, maxsplit=1)[0].rstrip(":;")
