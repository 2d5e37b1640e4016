"""Presets and runs as aligned tables."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tui_trainer.monitor import numbers
from tui_trainer.monitor.columns import align
from tui_trainer.monitor.forecast import Forecast, forecast_figures
from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status


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
    rows: list[tuple[str, ...]] = [("run", "preset", "state", "step", "best val", "where")]
    rows += [_run_row(run) for run in runs]
    return align(rows, right=frozenset({3, 4}))


def _run_row(run: RunDirectory) -> tuple[str, ...]:
    status = read_status(run.status_file)
    step = f"{status.step:,}/{numbers.whole(status.max_steps)}" if status else numbers.UNKNOWN
    return (
        safe_line(run.run_id),
        safe_line(run.preset),
        _state_of(run),
        step,
        numbers.loss(run.best_metrics().get("val_loss")),
        safe_line(str(run.path)),
    )


def _state_of(run: RunDirectory) -> str:
    status = read_status(run.status_file)
    liveness = judge(status, time.time())
    if liveness is Liveness.ENDED and status:
        return (status.reason or status.state).replace("_", " ")
    return {Liveness.ALIVE: "training", Liveness.DEAD: "interrupted"}.get(liveness, liveness.value)
