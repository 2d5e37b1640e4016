"""One run is one directory. This file knows what stands where in it."""

from __future__ import annotations

import json
import platform
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tui_trainer import __version__, places
from tui_trainer.config import MAX_CONFIG_BYTES, RunConfig, parse_config, read_toml, to_toml
from tui_trainer.errors import UserError
from tui_trainer.runs.files import read_json, replace_file


@dataclass(frozen=True)
class RunDirectory:
    """The paths of a run. Making one touches nothing on the disk."""

    path: Path
    made_folders: tuple[Path, ...] = field(default=(), compare=False, repr=False)
    """Of a run that `create_run` just made: the folders that were not there before, outermost first."""

    @property
    def manifest(self) -> Path:
        """`run.json`: id, preset, versions, where the data came from."""
        return self.path / "run.json"

    @property
    def config_file(self) -> Path:
        """The resolved configuration; training from it repeats the run."""
        return self.path / "config.toml"

    @property
    def next_config_file(self) -> Path:
        """A changed configuration while it is being saved: left over, it tells a kill from an edit by hand."""
        return self.path / "config.next.toml"

    @property
    def event_log(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def status_file(self) -> Path:
        return self.path / "status.json"

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer"

    @property
    def tokens(self) -> Path:
        """The tokens of the text, where the user's cache folder cannot be written."""
        return self.path / "tokens"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def console_log(self) -> Path:
        """What C libraries and warnings print; never on the screen."""
        return self.path / "console.log"

    @property
    def control(self) -> Path:
        return self.path / "control"

    @property
    def lock_file(self) -> Path:
        return self.path / "run.lock"

    def describe(self) -> dict[str, Any]:
        """The content of `run.json`, or an empty table when it cannot be read."""
        return read_json(self.manifest) or {}

    @property
    def run_id(self) -> str:
        """The id under which the run was made."""
        return str(self.describe().get("id") or self.path.name)

    @property
    def preset(self) -> str:
        """The preset the run was made from."""
        return str(self.describe().get("preset") or "")

    def read_config(self) -> RunConfig:
        """The resolved configuration.

        Raises:
            UserError: when the file is missing or was damaged.
        """
        return parse_config(read_toml(self.config_file), str(self.config_file))

    @property
    def saved_step(self) -> int | None:
        """The step of the last checkpoint; None while there is none."""
        step = (read_json(self.checkpoints / "last.json") or {}).get("step")
        return step if isinstance(step, int) else None

    def best_metrics(self) -> dict[str, float]:
        """What was measured of the best checkpoint, or an empty table when there is none."""
        step = (read_json(self.checkpoints / "best.json") or {}).get("step")
        if not isinstance(step, int):
            return {}
        metrics = (read_json(self.checkpoints / f"step-{step:08}.json") or {}).get("metrics")
        items = metrics.items() if isinstance(metrics, dict) else ()
        return {name: value for name, value in items if isinstance(value, int | float)}


def create_run(
    config: RunConfig, preset: str, run_dir: Path | None, now: datetime, base: dict[str, Any] | None = None
) -> RunDirectory:
    """Makes the directory of a new run with its `run.json` and `config.toml`.

    Args:
        config: the resolved configuration.
        preset: the name of the preset, which becomes part of the id.
        run_dir: where; None: a new folder below `places.runs_root()`.
        now: the time of the start.
        base: what it goes on from, in plain values; None: nothing.

    Raises:
        UserError: when `run_dir` is not an empty folder, nothing can be written there, or the configuration
            is so long that it could not be read again.
    """
    config_text = to_toml(config).encode()
    if len(config_text) > MAX_CONFIG_BYTES:
        raise UserError(f"{len(config_text)} bytes of configuration are too many; name a folder instead of its files")
    run_id = f"{now:%Y%m%d-%H%M%S}-{preset}"
    try:
        run = _claim(run_dir.absolute()) if run_dir else _claim_new(places.runs_root(), run_id)
        try:
            _furnish(run, config_text, run_id if run_dir else run.path.name, preset, now, base)
        except OSError:
            remove_run(run)
            raise
    except OSError as error:
        where = run_dir or places.runs_root()
        raise UserError(f"{where}: no run directory here: {error.strerror}; choose another --run-dir") from error
    return run


def remove_run(run: RunDirectory) -> None:
    """Removes a run that `create_run` made and that never trained, and nothing that others put beside it."""
    files = (run.manifest, run.config_file, run.next_config_file, run.event_log, run.status_file, run.console_log)
    for path in (*files, run.lock_file):
        with suppress(OSError):
            path.unlink()
    for folder in (run.tokenizer, run.checkpoints, run.control, run.tokens):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in reversed(run.made_folders):
        with suppress(OSError):  # not empty: something else lives there by now
            folder.rmdir()


def _furnish(
    run: RunDirectory, config_text: bytes, run_id: str, preset: str, now: datetime, base: dict[str, Any] | None
) -> None:
    for folder in (run.tokenizer, run.checkpoints, run.control):
        folder.mkdir()
    replace_file(run.config_file, config_text)
    manifest = {
        "id": run_id,
        "preset": preset,
        "created": now.isoformat(timespec="seconds"),
        "tui_trainer": __version__,
        "python": platform.python_version(),
        "parent_run": base["name"] if base and base["step"] is not None else None,
        "base": base,
    }
    replace_file(run.manifest, json.dumps(manifest, indent=2).encode())


def _claim(path: Path) -> RunDirectory:
    """An own, empty folder at exactly this place."""
    made = _make_missing(path)
    if any(path.iterdir()):
        raise UserError(f"{path}: not empty; resume it (tui-trainer resume {path}) or choose another --run-dir")
    return RunDirectory(path, made)


def _claim_new(root: Path, run_id: str) -> RunDirectory:
    """A folder that no other process got: `mkdir` decides who was first."""
    made = _make_missing(root)
    for attempt in range(1, 1000):
        path = root / (run_id if attempt == 1 else f"{run_id}-{attempt}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return RunDirectory(path, (*made, path))
    raise UserError(f"{root}: a thousand runs are called {run_id}; choose another --run-dir")


def _make_missing(folder: Path) -> tuple[Path, ...]:
    """Makes a folder and its parents; returns those that were missing, outermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(reversed(missing))
