"""What a preset would cost on this machine, before it is started."""

from __future__ import annotations

import math
import socket
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tui_trainer import estimates
from tui_trainer.config import DataConfig, RunConfig
from tui_trainer.data.corpus import EMBEDDED_NAME, explain_line_ends, open_corpus
from tui_trainer.errors import UserError
from tui_trainer.event_codec import decode
from tui_trainer.events import RunStarted
from tui_trainer.free_memory import free_memory_bytes
from tui_trainer.monitor import numbers
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset, estimate_steps, estimate_tokens, expected_vocab_size
from tui_trainer.runs.catalogue import list_runs
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.status import read_status

REMEMBERED_RUNS = 40
ENOUGH_STEPS = 20
LOOKED_BACK = 5
LOG_START_BYTES = 1 << 16
"""Of a log, which begins with how it was started."""
ABSURD_SECONDS = 30 * 86_400.0
"""A training of a month is more likely a mistake than meant."""


@dataclass(frozen=True)
class PastRun:
    """What an earlier run on this machine tells about the next."""

    preset: str
    config: RunConfig
    seconds_per_step: float
    flop_per_second: float
    signature: str = ""
    """Of the files of its text."""
    train_tokens: int | None = None
    val_tokens: int | None = None

    @property
    def flop_per_step(self) -> float:
        return self.flop_per_second * self.seconds_per_step


@dataclass(frozen=True)
class FoundText:
    """What `data.paths` lead to."""

    name: str
    size_bytes: int | None = None
    problem: str | None = None
    """Why there is nothing to train on."""
    signature: str = ""
    """Of its files: with the same one, an earlier run knows its tokens."""
    bytes_per_character: float = 1.0
    remark: str | None = None
    """What a person should know of its line ends."""


@dataclass(frozen=True)
class Tokens:
    """Of a text, under a tokenizer."""

    train: int
    total: int
    are_exact: bool = False


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
    is_text_missing: bool = False
    """Whether that is the problem."""
    are_tokens_exact: bool = False
    """Whether they were counted by an earlier run, and with them the steps."""
    alarm: str | None = None
    """Why it had better not be started on this machine."""
    remark: str | None = None
    """What a person should know of the text."""


def find_text(data: DataConfig) -> FoundText:
    """Finds the files and their size, and reads how they begin. A large folder, or a slow disk, takes seconds."""
    try:
        corpus = open_corpus(data)
        if corpus.is_embedded:
            return FoundText(corpus.name, corpus.size_bytes, signature=corpus.signature())
        beginning = corpus.beginning()
        return FoundText(
            corpus.name,
            corpus.size_bytes,
            signature=corpus.signature(),
            bytes_per_character=len(beginning.encode()) / max(1, len(beginning)),
            remark=". ".join(explain_line_ends(corpus.name, beginning) or ()) or None,
        )
    except UserError as error:
        return FoundText(", ".join(data.paths), problem=str(error))
    except OSError as error:  # for instance the current folder is gone
        paths = ", ".join(data.paths)
        return FoundText(paths, problem=f"{paths}: cannot be looked for: {error.strerror}")


def make_forecasts(presets: Sequence[Preset]) -> list[Forecast]:
    """A forecast for each preset; a text that several share is looked for once."""
    past_runs, free_bytes = remember_past_runs(list_runs()), free_memory_bytes()
    texts = {preset.config.data.paths: preset.config.data for preset in presets}
    found = {paths: find_text(data) for paths, data in texts.items()}
    return [make_forecast(preset, past_runs, found[preset.config.data.paths], free_bytes) for preset in presets]


def make_forecast(
    preset: Preset, past_runs: Sequence[PastRun], text: FoundText | None, free_bytes: int | None = None
) -> Forecast:
    """The forecast for one preset.

    Args:
        preset: what would be trained.
        past_runs: what is known of this machine.
        text: None while its files are still being looked for.
        free_bytes: memory that is free here; None: not known.
    """
    config, vocab_size = preset.config, preset.expected_vocab_size
    paths = ", ".join(config.data.paths)
    if text is None:
        text = FoundText(f"looking through {paths} …" if paths else EMBEDDED_NAME)
    has_base = config.base.path is not None
    tokens = None if has_base else _tokens(config, text, past_runs)
    train_tokens = tokens.train if tokens else None
    steps = config.training.max_steps if tokens is None else estimate_steps(config, tokens.train)
    seconds = None if has_base else _seconds(preset, steps, past_runs)
    return Forecast(
        parameters=None if has_base else estimates.parameter_count(config.model, vocab_size),
        is_parameters_exact=config.data.tokenizer in ("gpt2", "bytes"),
        data_name=text.name,
        tokens=tokens.total if tokens else None,
        train_tokens=train_tokens,
        steps=steps,
        epochs=_epochs(config, train_tokens, steps),
        memory_bytes=None if has_base else estimates.memory_bytes(config, vocab_size),
        seconds=seconds,
        problem=text.problem or preset.problem,
        is_text_missing=text.problem is not None,
        are_tokens_exact=tokens is not None and tokens.are_exact,
        alarm=_alarm(None if has_base else _least_memory(config, vocab_size), free_bytes, seconds),
        remark=text.remark,
    )


def _tokens(config: RunConfig, text: FoundText, past_runs: Sequence[PastRun]) -> Tokens | None:
    """As an earlier run on the same text counted them, or by its ratio to the estimate, or estimated."""
    if text.size_bytes is None:
        return None
    data = config.data

    def estimate(of: RunConfig) -> int:
        return max(1, estimate_tokens(of, text.size_bytes or 0, text.bytes_per_character))

    total = estimate(config)
    for past in past_runs:
        then = past.config.data
        if not (past.train_tokens and past.val_tokens and past.signature == text.signature):
            continue
        if then.tokenizer != data.tokenizer or past.config.base.path is not None:
            continue
        if (then.vocab_size, then.val_fraction) == (data.vocab_size, data.val_fraction):
            return Tokens(past.train_tokens, past.train_tokens + past.val_tokens, are_exact=True)
        total = round((past.train_tokens + past.val_tokens) * estimate(config) / estimate(past.config))
    return Tokens(round(total * (1 - data.val_fraction)), total)


def _least_memory(config: RunConfig, vocab_size: int) -> int:
    """What it cannot do without: without a `micro_batch_size` the training takes as many rows at once as fit."""
    rows = config.training.micro_batch_size or 1
    return estimates.PROCESS_BYTES + estimates.training_bytes(config, vocab_size, rows)


def _alarm(memory_bytes: int | None, free_bytes: int | None, seconds: float | None) -> str | None:
    reasons = []
    if memory_bytes and free_bytes is not None and memory_bytes > free_bytes:
        reasons.append(
            f"needs about {numbers.size(memory_bytes)} of memory, of which {numbers.size(free_bytes)} are free"
        )
    if seconds and seconds > ABSURD_SECONDS:
        reasons.append(f"would take about {numbers.duration(seconds)} on this machine")
    return " and ".join(reasons) or None


def _epochs(config: RunConfig, train_tokens: int | None, steps: int | None) -> float | None:
    """Each window goes on by the stride, so that overlapping ones are no further passes."""
    if not train_tokens or steps is None:
        return None
    return steps * config.training.batch_size * config.stride / train_tokens


def remember_past_runs(runs: Sequence[RunDirectory]) -> list[PastRun]:
    """Of all runs, newest first, the newest of this machine that got far enough to tell their speed."""
    found = (_past_run(run) for run in runs[:REMEMBERED_RUNS])
    return [past for past in found if past is not None]


def forecast_figures(preset: Preset, forecast: Forecast) -> dict[str, str]:
    """The forecast in words; "~" marks what is not known yet."""
    are_steps_exact = preset.config.training.max_steps is not None or forecast.are_tokens_exact
    return {
        "parameters": (str if forecast.is_parameters_exact else _about)(numbers.short(forecast.parameters)),
        "data": safe_line(forecast.data_name),
        "tokens": (str if forecast.are_tokens_exact else _about)(numbers.short(forecast.tokens)),
        "steps": (str if are_steps_exact else _about)(numbers.whole(forecast.steps)),
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
    started = _started(run)
    return PastRun(
        run.preset,
        config,
        status.elapsed_seconds / status.step,
        flop / status.elapsed_seconds,
        str(run.describe().get("data_seen", "")),
        started.train_tokens if started else None,
        started.val_tokens if started else None,
    )


def _started(run: RunDirectory) -> RunStarted | None:
    try:
        with run.event_log.open("rb") as file:
            records = map(decode, file.read(LOG_START_BYTES).split(b"\n"))
    except OSError:
        return None
    return next((each.event for each in records if each and isinstance(each.event, RunStarted)), None)


def _seconds(preset: Preset, steps: int | None, past_runs: Sequence[PastRun]) -> float | None:
    """From the last runs of the same preset, else from FLOP and the speed of runs with about as much work a step.

    In the median, and the faster of two: another program beside a run makes it slower, nothing makes it faster.
    """
    if steps is None or not past_runs:
        return None
    alike = [past for past in past_runs if past.preset == preset.name and _costs_the_same(past.config, preset.config)]
    if alike:
        return statistics.median_low(past.seconds_per_step for past in alike[:LOOKED_BACK]) * steps
    config = preset.config
    flop = estimates.flop_per_token(config.model, preset.expected_vocab_size) * config.tokens_per_step
    # A small step is mostly overhead, a large one mostly arithmetic: their FLOP per second are far apart.
    distances = {past: abs(math.log2(past.flop_per_step / flop)) for past in past_runs}
    nearest = [past for past in past_runs if distances[past] <= min(distances.values()) + 1]
    return flop * steps / statistics.median_high(past.flop_per_second for past in nearest[:LOOKED_BACK])


def _costs_the_same(one: RunConfig, other: RunConfig) -> bool:
    """Whether a step is as much work: the same preset may have been run with other settings."""
    return one.model == other.model and one.tokens_per_step == other.tokens_per_step


def _about(figure: str) -> str:
    return figure if figure == numbers.UNKNOWN else f"~{figure}"
