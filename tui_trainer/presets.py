"""Presets: ready configurations, one TOML file each, that a person can copy and change."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from tui_trainer.config import RunConfig, known_keys, parse_config, read_toml, rename_aliases
from tui_trainer.errors import UserError, did_you_mean

ORDER = (
    "quick-test",
    "the-verdict",
    "shakespeare-char",
    "shakespeare-fast",
    "small",
    "medium",
    "large",
    "xlarge",
    "gpt2-124m",
    "finetune",
)
"""How the picker shows them: what to start with first, then by what they cost, then what goes on from a model."""

DEFAULT_EPOCHS = 10

VOCABULARIES = {"gpt2": 50_257, "bytes": 256, "char": 96}
"""Tokens of the tokenizers that ignore `vocab_size`; that of `char` is a guess until the text is read."""
BYTES_PER_TOKEN = {"gpt2": 4.0, "bytes": 1.0, "char": 1.0}
MANUAL_BYTES_PER_TOKEN = {2048: 3.62, 4096: 4.15, 8192: 4.48}
"""Of the embedded text by `vocab_size`, measured: a manual repeats its terms more than other texts do."""


@dataclass(frozen=True)
class Preset:
    """A configuration with its name and the two comment lines at its top."""

    name: str
    purpose: str
    """What it is for and what it teaches."""
    duration: str
    """How long it takes."""
    path: Path
    config: RunConfig
    problem: str | None = None
    """Why it cannot start as it was asked for."""

    @property
    def lacks_base(self) -> bool:
        """Whether it is to start from a model that is not named yet."""
        return self.config.base.path == ""

    @property
    def expected_vocab_size(self) -> int:
        """Tokens in the vocabulary, before the text is read."""
        return expected_vocab_size(self.config)

    def changed(self, overrides: Sequence[str], data: Sequence[str], base: str | None = None) -> Preset:
        """The preset with `section.key=value` overrides, on other text unless `data` is empty, from a base if named.

        Other text gets other prompts: the training takes them from the text, unless an override names some. How long
        the preset takes on its own text then says nothing either.

        Raises:
            UserError: naming the override that is wrong, or that the base decides.
        """
        config = with_base(self.config, base)
        config = with_data(apply_overrides(_ending_within_warmup(config, overrides), overrides), data)
        if config.base.path is not None:
            _refuse_what_the_base_decides(overrides)
        changed = replace(self, config=config, problem=_missing_base(self.name, config))
        if config.data.paths == self.config.data.paths:
            return changed
        has_prompts = ("sampling", "prompts") in {(section, key) for section, key, _ in map(_parse_override, overrides)}
        return replace(changed, duration="", config=config if has_prompts else _without_prompts(config))


def presets_folder() -> Path:
    """Where the shipped presets are: inside an installed package, or beside it in a checkout."""
    installed = Path(str(files("tui_trainer"))) / "presets"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "presets"


def list_presets() -> list[Preset]:
    """The shipped presets in the order of the picker."""
    return [load_preset(name) for name in ORDER]


def change_presets(presets: Sequence[Preset], overrides: Sequence[str], data: Sequence[str]) -> list[Preset]:
    """The presets with the same changes; one that cannot take them says so in its `problem`.

    Raises:
        UserError: when no preset can take them.
    """
    changed = []
    for preset in presets:
        try:
            changed.append(preset.changed(overrides, data))
        except UserError as error:
            changed.append(replace(preset, problem=str(error)))
    if all(preset.problem for preset in changed):
        raise UserError(changed[0].problem)
    return changed


def load_preset(name: str) -> Preset:
    """A shipped preset by its name, or a preset file by its path.

    Raises:
        UserError: when there is no such preset, or the file is not right.
    """
    path = presets_folder() / f"{name}.toml"
    if name not in ORDER:
        path = Path(name)
        if not name.endswith(".toml") and not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a long name
            raise UserError(
                f"{name}: no such preset{did_you_mean(name, list(ORDER))}\n"
                f"presets: {', '.join(ORDER)}; or name a file that ends in .toml"
            )
    config = parse_config(read_toml(path), str(path))
    purpose, duration = _top_comments(path)
    name = safe_name(path.stem)
    return Preset(name, purpose, duration, path, config, _missing_base(name, config))


def safe_name(stem: str) -> str:
    """A file's name as a part of a run's id: letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip("-.") or "run"


def apply_overrides(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """The configuration with `section.key=value` overrides; values are read as TOML, else as plain text.

    They are checked together: a new `n_head` may fit only the new `n_embd` that comes after it.

    Raises:
        UserError: naming the overrides and what is wrong.
    """
    tables, changed = _set_tables(config), set()
    for override in overrides:
        section, key, value = _parse_override(override)
        changes = rename_aliases({section: {key: value}}, _shown(override))
        tables.setdefault(section, {}).update(changes[section])
        changed |= {f"{section}.{name}" for name in changes[section]}
    if "training.epochs" in changed and "training.max_steps" not in changed:
        tables["training"].pop("max_steps", None)  # who asks for epochs does not mean the preset's steps
    return parse_config(tables, " ".join(_shown(override) for override in overrides))


LENGTH = ("training", "max_steps")
RESUMABLE = frozenset(
    {
        "max_steps",
        "epochs",
        "learning_rate",
        "min_learning_rate",
        "weight_decay",
        "grad_clip",
        "eval_interval",
        "checkpoint_interval",
        "keep_checkpoints",
        "log_interval",
        "early_stop_patience",
        "early_stop_min_delta",
    }
)
"""What may change when a run is resumed, beside [sampling]: the model and its data may not."""


def apply_resume_overrides(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Overrides for a run that goes on.

    Raises:
        UserError: for an override that is wrong or that a run cannot change on its way.
    """
    changed = apply_overrides(_ending_within_warmup(config, overrides), overrides)
    for override in overrides:
        section, key, value = _parse_override(override)
        renamed = next(iter(rename_aliases({section: {key: value}}, _shown(override))[section]))
        if section != "sampling" and (section, renamed) not in {("training", name) for name in RESUMABLE}:
            raise UserError(
                f"{_shown(override)}: cannot change while a run goes on; start a new one: tui-trainer train\n"
                f"resume can change training.{', '.join(sorted(RESUMABLE))}"
            )
    return changed


def _ending_within_warmup(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """The configuration with a warm-up that fits a shorter run: who shortens one need not know of its warm-up."""
    lengths = [value for section, key, value in map(_parse_override, overrides) if (section, key) == LENGTH]
    warmup = config.training.warmup_steps or 0
    if not lengths or type(lengths[-1]) is not int or not 0 < lengths[-1] < warmup:
        return config
    shorter = config.training.model_copy(update={"warmup_steps": lengths[-1]})
    return config.model_copy(update={"training": shorter})


def with_data(config: RunConfig, paths: Sequence[str]) -> RunConfig:
    """The configuration on other text; no paths: unchanged."""
    if not paths:
        return config
    tables = _set_tables(config)
    tables.setdefault("data", {})["paths"] = list(paths)
    return parse_config(tables, "--data")


def _without_prompts(config: RunConfig) -> RunConfig:
    tables = _set_tables(config)
    tables.get("sampling", {}).pop("prompts", None)
    return parse_config(tables, "--data")


def with_base(config: RunConfig, name: str | None) -> RunConfig:
    """The configuration of a run that goes on from a base; None: unchanged."""
    if name is None:
        return config
    return parse_config(_set_tables(config) | {"base": {"path": name}}, "--from")


def _missing_base(preset: str, config: RunConfig) -> str | None:
    """Why a preset cannot start that wants a base and has none."""
    if config.base.path != "":
        return None
    return (
        f"{preset}: goes on from a model you have, and none is named yet\n"
        f"type: tui-trainer train {preset} --from RUN --data FILE\n"
        "RUN is one that tui-trainer runs lists, or a folder with a GPT-2 of Hugging Face"
    )


def _refuse_what_the_base_decides(overrides: Sequence[str]) -> None:
    """Raises UserError for an override of the shape or the tokenizer: in a preset they are its own affair."""
    for override in overrides:
        section, key, value = _parse_override(override)
        name = next(iter(rename_aliases({section: {key: value}}, _shown(override))[section]))
        is_shape = section == "model" and name not in ("dropout", "context_length")
        if is_shape or (section, name) in {("data", "tokenizer"), ("data", "vocab_size")}:
            raise UserError(
                f"{_shown(override)}: the base decides that; leave it out\n"
                "of its shape, only model.dropout and a shorter model.context_length are free"
            )


def expected_vocab_size(config: RunConfig) -> int:
    """Tokens in the vocabulary, before the text is read."""
    return VOCABULARIES.get(config.data.tokenizer, config.data.vocab_size)


def estimate_tokens(config: RunConfig, size_bytes: int, bytes_per_character: float = 1.0) -> int:
    """About how many tokens a text of so many bytes becomes."""
    kind, vocab_size = config.data.tokenizer, config.data.vocab_size
    bytes_per_token = BYTES_PER_TOKEN.get(kind)
    if bytes_per_token is None:
        # A learned vocabulary packs about 0.27 bytes more into a token each time it doubles: measured on English.
        bytes_per_token = 1.0 + 0.27 * max(1, vocab_size.bit_length() - 4)
        if not config.data.paths:
            bytes_per_token = MANUAL_BYTES_PER_TOKEN.get(vocab_size, bytes_per_token)
    elif kind == "char":
        bytes_per_token = bytes_per_character
    elif kind == "gpt2":
        bytes_per_token /= bytes_per_character  # two tokens a Korean character of three bytes
    return round(size_bytes / bytes_per_token)


def estimate_steps(config: RunConfig, train_tokens: int) -> int:
    """How many steps a run takes that learns from so many tokens, those for validation not counted."""
    training = config.training
    if training.max_steps is not None:
        return training.max_steps
    starts = train_tokens - config.model.context_length
    windows = max(1, -(-starts // config.stride))
    return -(-(training.epochs or DEFAULT_EPOCHS) * windows // training.batch_size)


def _set_tables(config: RunConfig) -> dict[str, dict[str, Any]]:
    """What was decided, without the defaults."""
    return config.model_dump(exclude_none=True, exclude_unset=True)


def _shown(override: str) -> str:
    """An override as a message names it: on one line, not too long."""
    text = f"--set {' '.join(override.split())}"
    return text if len(text) <= 80 else text[:77] + "..."


def _parse_override(override: str) -> tuple[str, str, Any]:
    name, equals, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and section and key):
        raise UserError(f"{_shown(override)}: write it as section.key=value, for instance training.max_steps=500")
    if section not in known_keys():
        raise UserError(f"{_shown(override)}: unknown section{did_you_mean(section, known_keys())}")
    try:
        tables = tomllib.loads(f"value = {text.strip()}")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return section, key, text.strip()
    # Text with a newline and another "name = value" in it is text.
    return section, key, tables["value"] if len(tables) == 1 else text.strip()


def _top_comments(path: Path) -> tuple[str, str]:
    """The first two lines of a preset, when they are comments."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()[:2]
    comments = [line.lstrip("# ").strip() if line.startswith("#") else "" for line in lines]
    purpose, duration = (*comments, "", "")[:2]
    return purpose, duration
