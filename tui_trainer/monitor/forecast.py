"""What a preset would cost on this machine, before it is started."""

from __future__ import annotations

import socket
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tui_trainer import estimates
from tui_trainer.config import DataConfig, RunConfig
from tui_trainer.data.corpus import EMBEDDED_NAME, open_corpus
from tui_trainer.errors import UserError
from tui_trainer.monitor import numbers
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset, estimate_steps, estimate_tokens, expected_vocab_size
from tui_trainer.runs.catalogue import list_runs
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status

REMEMBERED_RUNS = 40
ENOUGH_STEPS = 20
LOOKED_BACK = 5


@dataclass(frozen=True)
class PastRun:
    """What an earlier run on this machine tells about the next."""

    preset: str
    config: RunConfig
    seconds_per_step: float
    flop_per_second: float


@dataclass(frozen=True)
class FoundText:
    """What `data.paths` lead to."""

    name: str
    size_bytes: int | None = None
    problem: str | None = None
    """Why there is nothing to train on."""


@dataclass(frozen=True)
class Forecast:
    """Figures for the picker. All but parameters of a fixed vocabulary are estimates.

    What a base decides is not known before it is read: None.
    """

    parameters: int | None
    is_parameters_exact: bool
    data_name: str
    tokens: int | None
    train_tokens: int | None
    """Tokens that are learned from: without those held out for validation."""
    steps: int | None
    epochs: float | None
    """Passes over the training text."""
    memory_bytes: int | None
    seconds: float | None
    problem: str | None
    """Why it cannot start here, for instance because its text is missing."""


def find_text(data: DataConfig) -> FoundText:
    """Finds the files and their size. For a large folder, or one on a slow disk, this takes seconds."""
    try:
        corpus = open_corpus(data)
        return FoundText(corpus.name, corpus.size_bytes)
    except UserError as error:
        return FoundText(", ".join(data.paths), problem=str(error))
    except OSError as error:  # for instance the current folder is gone
        paths = ", ".join(data.paths)
        return FoundText(paths, problem=f"{paths}: cannot be looked for: {error.strerror}")


def make_forecasts(presets: Sequence[Preset]) -> list[Forecast]:
    """A forecast for each preset; a text that several share is looked for once."""
    past_runs = remember_past_runs()
    texts = {preset.config.data.paths: preset.config.data for preset in presets}
    found = {paths: find_text(data) for paths, data in texts.items()}
    return [make_forecast(preset, past_runs, found[preset.config.data.paths]) for preset in presets]


def make_forecast(preset: Preset, past_runs: Sequence[PastRun], text: FoundText | None) -> Forecast:
    """The forecast for one preset; `text` is None while its files are still being looked for."""
    config, vocab_size = preset.config, preset.expected_vocab_size
    paths = ", ".join(config.data.paths)
    if text is None:
        text = FoundText(f"looking through {paths} …" if paths else EMBEDDED_NAME)
    tokens = None if text.size_bytes is None else estimate_tokens(config, text.size_bytes)
    has_base = config.base.path is not None
    if has_base:
        tokens = None
    steps = config.training.max_steps if tokens is None else estimate_steps(config, tokens)
    train_tokens = None if tokens is None else round(tokens * (1 - config.data.val_fraction))
    return Forecast(
        parameters=None if has_base else estimates.parameter_count(config.model, vocab_size),
        is_parameters_exact=config.data.tokenizer in ("gpt2", "bytes"),
        data_name=text.name,
        tokens=tokens,
        train_tokens=train_tokens,
        steps=steps,
        epochs=_epochs(config, train_tokens, steps),
        memory_bytes=None if has_base else estimates.memory_bytes(config, vocab_size),
        seconds=None if has_base else _seconds(preset, steps, past_runs),
        problem=text.problem or preset.problem,
    )


def _epochs(config: RunConfig, train_tokens: int | None, steps: int | None) -> float | None:
    """Each window goes on by the stride, so that overlapping ones are no further passes."""
    if not train_tokens or steps is None:
        return None
    return steps * config.training.batch_size * config.stride / train_tokens


def remember_past_runs() -> list[PastRun]:
    """The newest runs on this machine that got far enough to tell their speed, newest first."""
    found = (_past_run(run) for run in list_runs()[:REMEMBERED_RUNS])
    return [past for past in found if past is not None]


def forecast_figures(preset: Preset, forecast: Forecast) -> dict[str, str]:
    """The forecast in words; "~" marks what is not known yet."""
    return {
        "parameters": (str if forecast.is_parameters_exact else _about)(numbers.short(forecast.parameters)),
        "data": safe_line(forecast.data_name),
        "tokens": _about(numbers.short(forecast.tokens)),
        "steps": numbers.whole(forecast.steps)
        if preset.config.training.max_steps
        else _about(numbers.whole(forecast.steps)),
        "context": numbers.whole(None if forecast.parameters is None else preset.config.model.context_length),
        "memory": _about(numbers.size(forecast.memory_bytes)),
        "time": _about(numbers.duration(forecast.seconds)),
    }


def _past_run(run: RunDirectory) -> PastRun | None:
    status = read_status(run.status_file)
    if (
        status is None
        or status.host != socket.gethostname()
        or status.step < ENOUGH_STEPS
        or status.elapsed_seconds <= 0
    ):
        return None
    try:
        config = run.read_config()
    except UserError:
        return None
    flop = estimates.flop_per_token(config.model, expected_vocab_size(config)) * config.tokens_per_step * status.step
    return PastRun(run.preset, config, status.elapsed_seconds / status.step, flop / status.elapsed_seconds)


def _seconds(preset: Preset, steps: int | None, past_runs: Sequence[PastRun]) -> float | None:
    """From the last runs of the same preset, else from FLOP and the speed of the last runs of any.

    In the median, and the faster of two: another program beside a run makes it slower, nothing makes it faster.
    """
    if steps is None or not past_runs:
        return None
    alike = [past for past in past_runs if past.preset == preset.name and _costs_the_same(past.config, preset.config)]
    if alike:
        return statistics.median_low(past.seconds_per_step for past in alike[:LOOKED_BACK]) * steps
    config = preset.config
    flop = estimates.flop_per_token(config.model, preset.expected_vocab_size) * config.tokens_per_step * steps
    return flop / statistics.median_high(past.flop_per_second for past in past_runs[:LOOKED_BACK])


def _costs_the_same(one: RunConfig, other: RunConfig) -> bool:
    """Whether a step is as much work: the same preset may have been run with other settings."""
    return one.model == other.model and one.tokens_per_step == other.tokens_per_step


def _about(figure: str) -> str:
    return figure if figure == numbers.UNKNOWN else f"~{figure}"
