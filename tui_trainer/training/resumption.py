"""Where a resumed run goes on from, and what is to be said about it.

A resume is exact. Where it cannot be, because a person asked for something else or the machine is another one,
it says so before the first step: that is a notice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tui_trainer.checkpoints import Checkpoint, CheckpointStore
from tui_trainer.config import RunConfig, parse_config, read_toml
from tui_trainer.diagnosis import evaluations_without_gain, has_lost_patience
from tui_trainer.errors import UserError
from tui_trainer.lr_schedule import describe_change, make_schedule
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.exactness import find_differences
from tui_trainer.training.notices import Notice
from tui_trainer.training.progress import Progress

FREE_SECTIONS = ("base.", "sampling.")
"""What no resume depends on: the base gave its weights at the start, samples have random numbers of their own."""
SHOWN_CHANGES = 5
FIXED_KEYS = ("training.optimizer", "data.tokenizer", "data.vocab_size")
"""What the tensors depend on, beside the model."""
FREE_KEYS = ("data.paths",)
"""A text is known by its fingerprint."""
EXTENSION_REMEDY = 'To extend a run without a jump, begin it with schedule = "wsd", and extend it by a resume.'


@dataclass
class Origin:
    """The checkpoint that a run goes on from."""

    checkpoint: Checkpoint
    progress: Progress
    notices: list[Notice] = field(default_factory=list)
    is_changed: bool = False
    """Whether it is no longer what the checkpoint says, and so must be saved before anything builds on it."""

    @property
    def config(self) -> RunConfig | None:
        """The configuration that the checkpoint was trained under; None: an earlier version did not record it."""
        recorded = self.checkpoint.state.get("config")
        return parse_config(recorded, "the checkpoint") if isinstance(recorded, dict) else None

    @property
    def diagnosis(self) -> dict[str, Any]:
        """What the rules knew."""
        return dict(self.checkpoint.state.get("diagnosis", {}))


def load_origin(store: CheckpointStore) -> Origin:
    """The last checkpoint, or, with a notice, another good one.

    Raises:
        UserError: when there is none.
    """
    checkpoint = store.load("last", repair=True)
    origin = Origin(checkpoint, Progress.from_state(checkpoint.state["progress"]))
    if checkpoint.warning:
        remedy = "It goes on from the one before; the next save replaces it."
        origin.notices.append(Notice("checkpoint", checkpoint.warning, remedy))
    return origin


def follow_config(run: RunDirectory, origin: Origin, wanted: RunConfig, *, is_data_free: bool) -> RunConfig:
    """The configuration to continue with, once `config.toml` was compared with what the checkpoint was trained under.

    Args:
        run: its `config.toml` may have been edited by hand.
        origin: gets a notice of what differs, and is to be saved when anything does.
        wanted: the content of `config.toml` with what was asked for at this resume.
        is_data_free: whether the text may be another one.

    Raises:
        UserError: when a setting was edited that the weights, the optimizer or the text depend on.
    """
    trained_config = origin.config
    if trained_config is None or origin.checkpoint.warning:
        return wanted  # an earlier version recorded none; an older checkpoint than the last knows older settings
    trained, written, asked = map(_flat, (trained_config, run.read_config(), wanted))
    if run.next_config_file.exists() and _read_staged(run) == trained_config:
        # Killed after a changed setting was saved and before it was written to config.toml: it holds.
        asked = trained | {name: value for name, value in asked.items() if value != written[name]}
        wanted, written = _nested(asked, run.config_file), trained
    edits = [name for name, value in written.items() if value != trained[name] and not _is_free(name)]
    _refuse_edits(run, origin, edits, (trained, written), is_data_free=is_data_free)
    if edits:
        evidence = f"close, not identical: config.toml was changed: {_changes(edits, trained, written)}"
        origin.notices.append(Notice("resume", evidence, "The run continues under the changed settings."))
    origin.is_changed |= asked != trained
    return wanted


def _read_staged(run: RunDirectory) -> RunConfig | None:
    try:
        return parse_config(read_toml(run.next_config_file), str(run.next_config_file))
    except UserError:  # the kill came while it was written
        return None


def _refuse_edits(
    run: RunDirectory,
    origin: Origin,
    edits: list[str],
    values: tuple[dict[str, Any], dict[str, Any]],
    *,
    is_data_free: bool,
) -> None:
    """Raises UserError for edits that would train something else than what the checkpoint holds."""
    fixed = [name for name in edits if name.startswith("model.") or name in FIXED_KEYS]
    of_data = [name for name in edits if name.startswith("data.")]
    if fixed:
        why, fix = "the weights and the tokens depend on it", "or start a new run with tui-trainer train"
    elif of_data and not is_data_free:
        why, fix = "the training data depend on it", "or accept other data with --allow-changed-data"
    else:
        return
    raise UserError(
        f"{run.config_file}: {_changes(fixed or of_data, *values)} since step {origin.checkpoint.step:,}: {why}\n"
        f"put the old value back, {fix}"
    )


def _flat(config: RunConfig) -> dict[str, Any]:
    """The values of a configuration by "section.key"."""
    sections = config.model_dump().items()
    return {f"{section}.{key}": value for section, table in sections for key, value in table.items()}


def _nested(values: dict[str, Any], source: Path) -> RunConfig:
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        tables.setdefault(section, {})[key] = value
    return parse_config(tables, str(source))


def _is_free(name: str) -> bool:
    return name.startswith(FREE_SECTIONS) or name in FREE_KEYS


def _changes(names: list[str], before: dict[str, Any], now: dict[str, Any]) -> str:
    shown = [f"{name} {_shown(before[name])} → {_shown(now[name])}" for name in names[:SHOWN_CHANGES]]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _shown(value: Any) -> str:
    if value is None:
        return "left out"
    return f"{value:g}" if isinstance(value, float) else str(value)


def refuse_if_over(run: RunDirectory, config: RunConfig, progress: Progress, max_steps: int | None) -> None:
    """Raises UserError for a run that has nothing to go on to; `max_steps` None: its length is not known yet."""
    # A run that was stopped within its last evaluation still owes that one, or the samples after it.
    owes_samples = bool(config.sampling.prompts) and progress.sampled_step != progress.step
    is_done = progress.step == max_steps == progress.evaluated_step and not owes_samples
    if max_steps and (progress.step > max_steps or is_done):
        raise UserError(
            f"{run.path}: complete at step {progress.step:,} of {max_steps:,}\n"
            f"to go on: tui-trainer resume {run.path} --set training.max_steps={progress.step * 2}"
        )
    training = config.training
    if has_lost_patience(progress.val_losses, training.early_stop_patience, training.early_stop_min_delta):
        without_gain = evaluations_without_gain(progress.val_losses, training.early_stop_min_delta)
        raise UserError(
            f"{run.path}: stopped early at step {progress.step:,}: "
            f"{without_gain} evaluations without a better validation loss\n"
            f"to go on: tui-trainer resume {run.path} --set training.early_stop_patience=0"
        )


def follow_plan(
    store: CheckpointStore, origin: Origin, before: tuple[RunConfig, int], now: tuple[RunConfig, int]
) -> Origin:
    """The origin under another plan of the learning rate.

    A warm-up–stable–decay run that is made longer goes back to where its decay began and is, from there on, the
    run that was planned longer from its start. Every other change is told with the figures of what it does.

    Args:
        store: of the run.
        origin: its last checkpoint.
        before: configuration and last step as they were.
        now: as they are from here on.
    """
    (old_config, old_steps), (config, max_steps) = before, now
    old, new = make_schedule(old_config.training, old_steps), make_schedule(config.training, max_steps)
    if old == new:
        return origin
    step = origin.progress.step
    if config.training.learning_rate != old_config.training.learning_rate:
        origin.progress.learning_rate_factor = 1.0  # who sets a rate means that rate
        origin.is_changed = True
    if old.shape == new.shape == "wsd" and new.max_steps > old.max_steps:
        earlier = _load_stable(store, old.stable_until, step)
        if earlier:
            return _go_back(origin, earlier, max_steps)
    if change := describe_change(old, new, step):
        origin.notices.append(Notice("schedule", change, EXTENSION_REMEDY))
    return origin


def accept_changed_text(origin: Origin) -> Origin:
    """The origin on another text: results on the old one say nothing about it, so the best is sought anew."""
    progress = replace(origin.progress, best_step=None, best_val_loss=None, evaluated_step=None, val_losses=[])
    evidence = "the text or the tokenizer is not the one that this run was trained on before"
    remedy = "Its figures cannot be compared with the earlier ones; the best is sought anew."
    return Origin(origin.checkpoint, progress, [*origin.notices, Notice("data", evidence, remedy)], is_changed=True)


def note_machine(origin: Origin, now: dict[str, Any]) -> None:
    """Says that the resume is close, not identical, when something that decides the last bit is another."""
    if differences := find_differences(origin.checkpoint.state.get("machine", {}), now):
        remedy = "Every figure from here on is close to what it would have been, not identical."
        origin.notices.append(Notice("resume", f"close, not identical: {differences}", remedy))


def _load_stable(store: CheckpointStore, stable_until: int | None, step: int) -> Checkpoint | None:
    """The checkpoint from before the decay, when the run is past it and the checkpoint is there and whole."""
    if stable_until is None or step <= stable_until or store.pointer("stable") != stable_until:
        return None
    checkpoint = store.load("stable")
    return checkpoint if checkpoint.step == stable_until else None


def _go_back(origin: Origin, earlier: Checkpoint, max_steps: int) -> Origin:
    progress = Progress.from_state(earlier.state["progress"])
    last = origin.progress
    progress.elapsed_seconds = last.elapsed_seconds
    # The decayed weights stay the best until the longer run beats them.
    progress.best_step, progress.best_val_loss = last.best_step, last.best_val_loss
    evidence = f"planned for {max_steps:,} steps now, it goes back to step {earlier.step:,}, before the decay"
    remedy = f"It goes on from there at the full rate; the steps up to {last.step:,} are made again without the decay."
    if last.learning_rate_factor == 1.0:  # also when it was set anew just now
        progress.learning_rate_factor = 1.0
    return Origin(earlier, progress, [*origin.notices, Notice("schedule", evidence, remedy)], is_changed=True)
