"""Presets and runs as aligned tables."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tui_trainer.monitor.columns import align
from tui_trainer.monitor.forecast import Forecast, forecast_figures
from tui_trainer.monitor.run_list import RUN_HEAD, describe_run
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset
from tui_trainer.runs.directory import RunDirectory


def presets_table(presets: Sequence[Preset], forecasts: Sequence[Forecast]) -> str:
    """One line a preset, in the order of the picker."""
    rows = [("preset", "parameters", "tokens", "steps", "context", "memory", "time", "data", "for")]
    for preset, forecast in zip(presets, forecasts, strict=True):
        figures = forecast_figures(preset, forecast)
        rows.append(
            (
                preset.name,
                figures["parameters"],
                figures["tokens"],
                figures["steps"],
                figures["context"],
                figures["memory"],
                figures["time"],
                figures["data"],
                safe_line(preset.purpose),
            )
        )
    return align(rows, right=frozenset(range(1, 7)))


def runs_table(runs: Sequence[RunDirectory]) -> str:
    """One line a run, read from its directory."""
    return align([RUN_HEAD, *(describe_run(run, time.time()) for run in runs)], right=frozenset({3, 4}))
