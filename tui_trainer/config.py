"""RunConfig: everything a person can decide about a run, checked before anything is spent.

The TOML sections and keys here are a contract: presets, `--set section.key=value`, `config.toml` of a run
and other people's scripts all speak these names.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tui_trainer.config_messages import explain_mistake
from tui_trainer.errors import UserError

MAX_CONFIG_BYTES = 64 * 1024

ALIASES = {
    "model": {
        "d_embed": "n_embd",
        "num_heads": "n_head",
        "num_layers": "n_layer",
        "max_seq_len": "context_length",
    },
    "training": {"num_epochs": "epochs"},
}
"""The guide's spellings, accepted in TOML and in `--set`."""


def _list_to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_text(value: str) -> str:
    """TOML cannot hold the bytes of a file name that is no UTF-8, so such a run could not be repeated."""
    if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("not UTF-8; rename the file")
    return value


Text = Annotated[str, AfterValidator(_check_text)]
TextList = Annotated[tuple[Text, ...], BeforeValidator(_list_to_tuple)]


class Section(BaseModel):
    """One table of the TOML file: no conversions, no unknown keys, no NaN, no change after the check."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class BaseConfig(Section):
    """The model that a run goes on from; without one its first weights are drawn."""

    path: Text | None = None
    """A run, or a folder in Hugging Face's layout: it gives weights, shape and tokenizer. "": still to be named."""
    step: int | None = Field(None, ge=0)
    """The checkpoint of a run. Left out: its best."""


class ModelConfig(Section):
    """The shape of the network. A run that goes on from a base has the base's, but for `dropout`."""

    architecture: Literal["gpt2", "modern"] = "gpt2"
    """`gpt2`: learned positions, LayerNorm, GELU, tied head. `modern`: rotary positions, RMSNorm, squared ReLU."""
    n_layer: int = Field(4, ge=1, le=256)
    """Transformer blocks. The guide: 4, then 6, then 12; more data, bigger model."""
    n_head: int = Field(4, ge=1, le=256)
    """Attention heads; must divide `n_embd`."""
    n_embd: int = Field(256, ge=1, le=16_384)
    """Width of the model. The guide: 128 small, 256 medium, 512 large, 768 very large."""
    context_length: int = Field(256, ge=1, le=131_072)
    """Tokens the model sees at once. Out of memory? Make it smaller."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Against overfitting. Usual 0.1; little data 0.2 to 0.3; much data 0.0 to 0.1."""
    activation: Literal["gelu_tanh", "gelu"] = "gelu_tanh"
    """`gpt2` only: GELU in GPT-2's tanh form (Hugging Face: gelu_new), or the exact one by erf (gelu)."""
    layer_norm_epsilon: float = Field(1e-5, gt=0)
    """`gpt2` only: what LayerNorm adds to the variance."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.n_embd % self.n_head:
            raise ValueError(f"n_head = {self.n_head} does not divide n_embd = {self.n_embd}")
        if self.architecture == "modern" and (self.n_embd // self.n_head) % 2:
            raise ValueError(f"rotary positions need an even n_embd / n_head, not {self.n_embd // self.n_head}")
        return self

    @model_validator(mode="after")
    def _gpt2_alone_has_choices(self) -> Self:
        for key in ("activation", "layer_norm_epsilon"):
            value = getattr(self, key)
            if self.architecture != "gpt2" and value != type(self).model_fields[key].default:
                raise ValueError(f"{key} = {value}: only for architecture = gpt2; leave it out")
        return self


class DataConfig(Section):
    """The text and how it becomes tokens."""

    paths: TextList = ()
    """Files, folders or globs of UTF-8 text. None: the embedded corpus, Python's own reference manual."""
    tokenizer: Literal["bpe", "gpt2", "char", "bytes"] = "bpe"
    """`bpe` is learned from the text; `gpt2` is GPT-2's (about two tokens a Korean character); `char`; `bytes`."""
    vocab_size: int = Field(4096, ge=256, le=1_000_000)
    """Tokens that `bpe` may learn; the other tokenizers know their own number."""
    val_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the text, from its end, that is held out for validation."""
    stride: int | None = Field(None, ge=1)
    """Tokens between the starts of two training windows. Left out: `context_length`, no overlap."""


class TrainingConfig(Section):
    """The optimizer, its schedule and what happens on the way."""

    epochs: int | None = Field(None, ge=1, le=1_000_000)
    """Passes over the training text; usual 10 to 100, until the validation loss stops falling. Left out: 10."""
    max_steps: int | None = Field(None, ge=1, le=1_000_000_000)
    """Optimizer updates. Wins over `epochs`."""
    batch_size: int = Field(8, ge=1, le=1_000_000)
    """Sequences in one step. Large: stable and fast, more memory. Small: noisy and slow. Usual 8 to 64."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Sequences in memory at once; a step adds their gradients up to `batch_size`. Left out: as many as fit."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`adamw`: Adam with decoupled weight decay. `muon`: Muon for hidden matrices, AdamW for the rest."""
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
        BeforeValidator(_list_to_tuple),
    ] = (0.9, 0.95)
    """Decay rates of AdamW's running averages of the gradient and of its square."""
    learning_rate: float = Field(3e-4, gt=0, le=10)
    """The most important knob. Too high: diverges. Too low: learns slowly. Recommended 1e-4 to 1e-3."""
    min_learning_rate: float | None = Field(None, ge=0)
    """Where the decay ends. Left out: a tenth of `learning_rate`."""
    schedule: Literal["cosine", "wsd", "linear", "constant"] = "cosine"
    """Shape after the warm-up. `wsd`: warm-up, stable, decay; the one that can be extended cleanly."""
    warmup_steps: int | None = Field(None, ge=0)
    """Steps over which the rate climbs from near 0. Left out: a twentieth of the run, at most 200."""
    decay_fraction: float = Field(0.2, gt=0, le=1)
    """`wsd` only: the share of the run, at its end, that decays."""
    weight_decay: float = Field(0.1, ge=0, le=10)
    """Pulls matrices towards 0. Usual 0.1; strong overfitting 0.2 to 0.5."""
    grad_clip: float = Field(1.0, ge=0)
    """Largest gradient norm; 0 switches clipping off. 1.0 prevents explosions: a must."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto`: bf16 where CUDA has it, fp16 with loss scaling on older CUDA, fp32 elsewhere."""
    eval_interval: int = Field(200, ge=1)
    """Steps between two evaluations. Step 0, the end of each epoch and the last step are always evaluated."""
    checkpoint_interval: int = Field(500, ge=1)
    """Steps between two checkpoints. Each new best and the last step are always saved."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints to keep, besides the best."""
    log_interval: int = Field(1, ge=1)
    """Steps between two `StepCompleted` events."""
    early_stop_patience: int = Field(0, ge=0)
    """Evaluations without a better validation loss before the run stops; 0: never."""
    early_stop_min_delta: float = Field(0.0, ge=0)
    """How much lower a validation loss must be to count as better for early stopping, in nats."""
    seed: int = Field(1337, ge=0, lt=2**31)
    """Decides the first weights, the order of the data and dropout."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.max_steps is not None and (self.warmup_steps or 0) > self.max_steps:
            raise ValueError(f"warmup_steps = {self.warmup_steps} is more than max_steps = {self.max_steps}")
        if self.min_learning_rate is not None and self.min_learning_rate > self.learning_rate:
            raise ValueError(
                f"min_learning_rate = {self.min_learning_rate:g} is above learning_rate = {self.learning_rate:g}"
            )
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise ValueError(f"micro_batch_size = {self.micro_batch_size} is more than batch_size = {self.batch_size}")
        return self


class SamplingConfig(Section):
    """How the prompt panel and `generate` choose the next token."""

    prompts: TextList = ("The ",)
    """Prompts to try; the panel offers the first. Left out: "The ", or for a text of your own two openings from it."""
    temperature: float = Field(0.8, ge=0, le=100)
    """0: always the likeliest token. Higher: more daring. Repeats one word? Raise it."""
    top_k: int = Field(40, ge=0)
    """Choose among this many likeliest tokens; 0: all."""
    top_p: float = Field(0.95, gt=0, le=1)
    """Choose among the likeliest tokens that together hold this probability; 1: all."""
    min_p: float = Field(0.0, ge=0, le=1)
    """Choose among tokens at least this many times as likely as the likeliest; 0: all."""
    repetition_penalty: float = Field(1.0, ge=0.01, le=100)
    """Above 1 makes tokens that are there already less likely. Repeats itself? Try 1.2."""
    max_new_tokens: int = Field(120, ge=1, le=100_000)
    """Tokens to generate."""


class RunConfig(Section):
    """The whole configuration of a run; `to_toml` of one repeats the run."""

    base: BaseConfig = BaseConfig()
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    sampling: SamplingConfig = SamplingConfig()

    @property
    def stride(self) -> int:
        """Tokens between the starts of two training windows."""
        return self.data.stride or self.model.context_length

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimizer update learns from."""
        return self.training.batch_size * self.model.context_length


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file of at most 64 kB.

    Raises:
        UserError: naming the file and the line that is wrong.
    """
    # Path.is_file and Path.exists raise for a name that is too long, os.path does not.
    if not os.path.isfile(path):  # noqa: PTH113
        raise UserError(f"{path}: {'not a regular file' if os.path.exists(path) else 'no such file'}")  # noqa: PTH110
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise UserError(f"{path}: too large for a configuration (at most {MAX_CONFIG_BYTES} bytes)")
        return tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text at byte {error.start}; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid TOML: a number has too many digits") from error
    except RecursionError as error:
        raise UserError(f"{path}: not valid TOML: nested too deeply") from error


def parse_config(tables: dict[str, Any], source: str) -> RunConfig:
    """Checks plain tables, as TOML gives them, and makes a RunConfig of them.

    Args:
        tables: section name to table.
        source: what the message names as the place of a mistake, for instance a file.

    Raises:
        UserError: at most three lines, one a mistake.
    """
    try:
        return RunConfig.model_validate(rename_aliases(tables, source))
    except ValidationError as error:
        lines = [f"{source}: {explain_mistake(detail, known_keys)}" for detail in error.errors()]
        if len(lines) > 3:
            lines = [*lines[:2], f"{source}: and {len(lines) - 2} more mistakes"]
        raise UserError("\n".join(lines)) from error


def rename_aliases(tables: dict[str, Any], source: str) -> dict[str, Any]:
    """Gives the guide's spellings their standard names.

    Raises:
        UserError: when both spellings of one key are there.
    """
    renamed: dict[str, Any] = {}
    for section, table in tables.items():
        names = ALIASES.get(section, {})
        if not isinstance(table, dict):
            renamed[section] = table
            continue
        renamed[section] = {}
        for key, value in table.items():
            name = names.get(key, key)
            if name in renamed[section]:
                first = next(other for other in table if names.get(other, other) == name)
                raise UserError(f"{source}: [{section}] {first} and {key} are one key; keep one of the two")
            renamed[section][name] = value
    return renamed


def config_tables(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain TOML tables; what was left out stays left out."""
    tables: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return {name: table for name, table in tables.items() if table}


def to_toml(config: RunConfig) -> str:
    """The configuration as a TOML document that `parse_config` reads back to the same value."""
    import tomli_w

    return tomli_w.dumps(config_tables(config))


def known_keys(section: str | None = None) -> list[str]:
    """The sections of a configuration, or the keys of one section and their aliases."""
    if section is None:
        return list(RunConfig.model_fields)
    return [*RunConfig.model_fields[section].annotation.model_fields, *ALIASES.get(section, {})]  # type: ignore[union-attr]
