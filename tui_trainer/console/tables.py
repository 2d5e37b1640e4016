"""Presets and runs as aligned tables."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Sequence

from tui_trainer.monitor.columns import align
from tui_trainer.monitor.forecast import Forecast, forecast_figures
from tui_trainer.monitor.run_list import RUN_HEAD, describe_run, run_lines, running_first
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset
from tui_trainer.runs.directory import RunDirectory

WIDTH = 80
DROPPED = ("where", "when", "preset", "step", "data")
"""Columns that a narrow terminal leaves out, the first one first: a run's name tells when and from which preset."""
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


def runs_table(runs: Sequence[RunDirectory], width: float = math.inf) -> str:
    """One line a run, read from its directory, those that train now first; at most `width` cells where that can be."""
    rows = [describe_run(run, time.time()) for run in running_first(runs, time.time())]
    return "\n".join(run_lines(rows, tuple(RUN_HEAD), DROPPED, width))
