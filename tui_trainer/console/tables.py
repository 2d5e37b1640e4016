"""Presets and runs as aligned tables."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence

from tui_trainer.monitor.columns import align
from tui_trainer.monitor.forecast import Forecast, forecast_figures
from tui_trainer.monitor.run_list import RUN_HEAD, describe_run
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset
from tui_trainer.runs.directory import RunDirectory

WIDTH = 80
FIGURES = ("parameters", "tokens", "steps", "context", "memory", "time")


def presets_table(presets: Sequence[Preset], forecasts: Sequence[Forecast]) -> str:
    """The figures of each preset on a line, in the order of the picker, and below what each is for."""
    rows: list[tuple[str, ...]] = [("preset", *FIGURES)]
    notes = []
    for preset, forecast in zip(presets, forecasts, strict=True):
        figures = forecast_figures(preset, forecast)
        rows.append((preset.name, *(figures[name] for name in FIGURES)))
        notes.append(f"{safe_line(preset.purpose)} Data: {figures['data']}")
    indent = 2 + max(len(preset.name) for preset in presets)
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)
    told = [wrapper.fill(preset.name.ljust(indent) + note) for preset, note in zip(presets, notes, strict=True)]
    return "\n".join([align(rows, right=frozenset(range(1, len(rows[0])))), "", *told])


def runs_table(runs: Sequence[RunDirectory]) -> str:
    """One line a run, read from its directory."""
    return align([RUN_HEAD, *(describe_run(run, time.time()) for run in runs)], right=frozenset({3, 4}))
