"""Steering: how long a run is, and a setting that somebody changes while it goes on."""

from __future__ import annotations

from typing import Any

from tui_trainer.config import RunConfig
from tui_trainer.data.batches import TrainingWindows
from tui_trainer.errors import UserError
from tui_trainer.presets import DEFAULT_EPOCHS, apply_resume_overrides


def change_setting(config: RunConfig, value: Any, windows: TrainingWindows, step: int) -> tuple[RunConfig, int]:
    """The configuration and the last step after a `set` command, which may change what a resume may.

    Args:
        config: as it is.
        value: `{"key": "training.learning_rate", "value": 0.0003}`, as it came from `control/`.
        windows: of the training text.
        step: the last complete one.

    Raises:
        UserError: naming what is wrong.
    """
    if not isinstance(value, dict) or not isinstance(value.get("key"), str) or "value" not in value:
        raise UserError('a set command needs {"key": "section.key", "value": …}')
    changed = apply_resume_overrides(config, [f"{value['key']}={_as_text(value['value'])}"])
    max_steps = plan_steps(changed, windows)
    if max_steps < step:
        raise UserError(f"step {step:,} is done already; to end the run, stop it")
    return changed, max_steps


def plan_steps(config: RunConfig, windows: TrainingWindows) -> int:
    """The last step that a configuration asks for."""
    return config.training.max_steps or windows.steps_for(config.training.epochs or DEFAULT_EPOCHS)


def _as_text(value: Any) -> str:
    """A JSON value as it would be typed after `--set`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
