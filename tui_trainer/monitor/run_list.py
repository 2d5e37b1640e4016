"""Which runs there are and how they stand, in words."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from tui_trainer.config import config_tables, parse_config, read_toml
from tui_trainer.errors import UserError
from tui_trainer.lr_schedule import settle_warmup
from tui_trainer.monitor import numbers
from tui_trainer.monitor.columns import align_lines
from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import ORDER, load_preset
from tui_trainer.runs.catalogue import name_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import Status, boot_id, read_status

RUN_HEAD = {
    "name": "run",
    "when": "when",
    "preset": "preset",
    "data": "data",
    "changed": "changed",
    "state": "state",
    "step": "step",
    "best": "best val",
    "where": "where",
}
"""The columns of a list of runs, and what stands above them."""
RIGHT = ("step", "best")
CUT = {"preset": 16, "data": 24, "changed": 60}
"""Cells after which a column is cut."""
LEAST_CHANGED = 24
WORDS = {Liveness.ALIVE: "training", Liveness.DEAD: "interrupted"}
RECENT_SECONDS = 600.0
"""A status that nobody wrote for so long is not that of a run that trains."""

SHORT_NAMES = {
    "n_layer": "layers",
    "n_head": "heads",
    "n_embd": "width",
    "context_length": "context",
    "vocab_size": "vocab",
    "max_steps": "steps",
    "batch_size": "batch",
    "micro_batch_size": "micro-batch",
    "learning_rate": "lr",
    "min_learning_rate": "min lr",
    "warmup_steps": "warm-up",
}
OF_THE_TEXT = {("data", "paths"), ("base", "path"), ("sampling", "prompts")}
"""What a run on other text or from a base has of its own in any case."""
OFTEN_CHANGED = ("dropout", "learning_rate")
"""What runs most often differ in stands first: narrow terminals cut the rest."""
OF_THE_BASE = ("tokenizer", "vocab_size")


@dataclass(frozen=True)
class RunRow:
    """A run as cells under `RUN_HEAD`, safe to show."""

    name: str
    when: str
    preset: str
    data: str
    changed: str
    state: str
    step: str
    best: str
    where: str


def describe_run(run: RunDirectory, now: float) -> RunRow:
    """Reads a run's directory; `now` in Unix seconds."""
    status, known = read_status(run.status_file), run.describe()
    preset, tables = str(known.get("preset") or ""), _tables_of(run)
    return RunRow(
        name=safe_line(name_of(run)),
        when=_when(known.get("created")),
        preset=safe_line(preset),
        data=safe_line(_data_name(known, tables)),
        changed=safe_line(", ".join(_changes(preset, known, tables, status))),
        state=_state(status, now),
        step=f"{status.step:,}/{numbers.whole(status.max_steps)}" if status else numbers.UNKNOWN,
        best=numbers.loss(run.best_metrics().get("val_loss")),
        where=safe_line(str(run.path)),
    )


def run_lines(rows: Sequence[RunRow], columns: Sequence[str], dropped: Sequence[str], width: float) -> list[str]:
    """The head and a line a run, at most `width` cells wide.

    Args:
        rows: the runs.
        columns: names of `RUN_HEAD`, from left to right.
        dropped: those that narrow terminals leave out, the first one first.
        width: in cells.
    """
    cells = {name: [RUN_HEAD[name], *(getattr(row, name) for row in rows)] for name in columns}
    limits = dict(CUT) if math.isfinite(width) else {}
    widths = {name: min(max(map(cell_len, column)), limits.get(name, 10_000)) for name, column in cells.items()}
    left = list(columns)

    def excess() -> int:
        return sum(widths[name] for name in left) + 2 * (len(left) - 1) - int(min(width, 10**9))

    for name in dropped:
        if excess() - max(0, widths.get("changed", 0) - LEAST_CHANGED) <= 0:
            break
        left.remove(name)
    if "changed" in left and excess() > 0:
        widths["changed"] = max(1, widths["changed"] - excess())
    shown = [[_cut(cells[name][row], widths[name]) for name in left] for row in range(len(rows) + 1)]
    lines = align_lines(shown, frozenset(place for place, name in enumerate(left) if name in RIGHT))
    return lines if math.isinf(width) else [_cut(line, int(width)) for line in lines]


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def state_of(run: RunDirectory, now: float) -> str:
    """What a run is doing at `now`, in Unix seconds, or how it ended; safe to show: its status may be anyone's."""
    return _state(read_status(run.status_file), now)


def _state(status: Status | None, now: float) -> str:
    liveness = judge(status, now)
    if status and liveness is Liveness.ENDED:
        return safe_line((status.reason or status.state).replace("_", " "))
    if status and liveness is Liveness.ALIVE and status.phase == "paused":
        return "paused"
    return WORDS.get(liveness, liveness.value)


def _when(created: object) -> str:
    try:
        return f"{datetime.fromisoformat(str(created)):%b %d %H:%M}"
    except ValueError:
        return numbers.UNKNOWN


def _data_name(known: dict[str, Any], tables: dict[str, Any]) -> str:
    data = tables.get("data")
    paths = data.get("paths") if isinstance(data, dict) else None
    if not paths:
        return "Python's manual"
    return str(known.get("data") or Path(str(paths[0] if isinstance(paths, list) else paths)).name)


def _tables_of(run: RunDirectory) -> dict[str, Any]:
    """Its configuration as it stands in the file, which a newer version or a person may have written."""
    try:
        return read_toml(run.config_file)
    except UserError:
        return {}


@cache
def _preset_tables(preset: str) -> dict[str, Any] | None:
    return config_tables(load_preset(preset).config) if preset in ORDER else None


def _changes(preset: str, known: dict[str, Any], tables: dict[str, Any], status: Status | None) -> list[str]:
    base = known.get("base")
    has_base = isinstance(base, dict)
    changes = [f"from {base.get('name')}"] if isinstance(base, dict) and base.get("name") else []
    shipped = _preset_tables(preset)
    if shipped is None:
        return changes
    settings = [(name, key) for name, table in tables.items() if isinstance(table, dict) for key in table]
    for section, key in sorted(settings, key=lambda setting: setting[1] not in OFTEN_CHANGED):
        value, planned = tables[section][key], shipped.get(section, {}).get(key)
        if value == planned or (section, key) in OF_THE_TEXT:
            continue
        if has_base and (section == "base" or key in OF_THE_BASE or (section == "model" and key != "dropout")):
            continue
        if key == "warmup_steps" and planned is None and value == _own_warmup(tables, status):
            continue
        changes.append(f"{SHORT_NAMES.get(key, key.replace('_', ' '))} {_shown(key, value)}")
    return changes


def _own_warmup(tables: dict[str, Any], status: Status | None) -> int | None:
    """The steps of warm-up that a run takes when nobody decides them."""
    if status is None or not status.max_steps:
        return None
    training = {key: value for key, value in tables["training"].items() if key != "warmup_steps"}
    try:
        config = parse_config({"training": training}, "").training
    except UserError:
        return None
    return min(settle_warmup(config, status.max_steps), status.max_steps)


def _shown(key: str, value: object) -> str:
    if isinstance(value, float) and key.endswith("learning_rate"):
        return numbers.rate(value).replace(".0e", "e")
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if type(value) is int else str(value)


def find_recent(runs: Sequence[RunDirectory]) -> list[RunDirectory]:
    """Those whose status was written a short time ago: none of the others can be training, and nothing is read."""
    return [run for run in runs if _is_recent(run.status_file)]


def _is_recent(path: Path) -> bool:
    try:
        return path.stat().st_mtime > time.time() - RECENT_SECONDS
    except OSError:
        return False


def find_running(runs: Sequence[RunDirectory], now: float) -> list[RunDirectory]:
    """The runs that somebody trains at `now`, in Unix seconds; copies that are kept fresh only where it is no other."""
    statuses = {run: read_status(run.status_file) for run in runs}
    running = [run for run in runs if judge(statuses[run], now) in (Liveness.ALIVE, Liveness.STALE)]
    return [run for run in running if not _is_copy(statuses[run])] or running


def find_busy_here(runs: Sequence[RunDirectory], now: float) -> list[RunDirectory]:
    """Those of them that compute on this machine: beside them other work is to be sparing."""
    return [run for run in runs if _is_busy_here(read_status(run.status_file), now)]


def running_first(runs: Sequence[RunDirectory], now: float) -> list[RunDirectory]:
    """The same runs, those that somebody trains at `now` on top."""
    running = find_running(find_recent(runs), now)
    return [*running, *(run for run in runs if run not in set(running))]


def _is_copy(status: Status | None) -> bool:
    return status is not None and status.is_elsewhere


def _is_busy_here(status: Status | None, now: float) -> bool:
    """A status of an earlier boot, or of a process that is paused or silent, may stay for good."""
    return (
        status is not None
        and not status.is_paused
        and (status.host, status.boot_id) == (socket.gethostname(), boot_id())
        and judge(status, now) is Liveness.ALIVE
    )
