"""What can be typed after `tui-trainer`."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from tui_trainer import __version__
from tui_trainer.cli import model_commands
from tui_trainer.cli.model_commands import RunName, TextPlace
from tui_trainer.errors import UserError

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Train a small GPT in your terminal, watch it learn, and talk to it while it does.",
)

UNWRITABLE = (errno.ENOSPC, errno.EPIPE, errno.EIO)
"""Errors of an output that nobody reads or that has no room."""

PINNED = ("h11", "rich", "textual", "uvicorn")
"""Libraries of which private names are used: another release may lack them."""

COLLECT_EVERY = 50_000
"""New objects between two garbage collections."""

Headless = Annotated[bool, typer.Option("--headless", help="Plain lines instead of the screen.")]
Json = Annotated[bool, typer.Option("--json", help="The events of the run, one JSON object a line.")]
Plain = Annotated[
    bool, typer.Option("--plain", help="Sentences to listen to and commands to type, for a screen reader.")
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="What to compute on.")]
Overrides = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads this form on every Python it supports
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; may be given again."),
]
ON_HANGUP = typer.Option(
    "--on-hangup", metavar="continue|stop", help="When the terminal is gone: train on, or save and end."
)
OnHangup = Annotated[str, ON_HANGUP]


def main() -> None:
    """The program. Exits with 0, 1, 2, 3, 75 or 128 + the number of the signal that ended it."""
    if sys.platform == "win32":
        sys.exit("tui-trainer runs on Linux and macOS; on Windows run it in WSL")
    _prepare_outputs()
    # Start-up makes a hundred thousand objects that all stay: looking for garbage among them costs 50 ms of it.
    gc.set_threshold(COLLECT_EVERY)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # looking for plug-ins costs another 25 ms
    try:
        _run()
    except UserError as error:
        from tui_trainer.monitor.safe_text import safe_text

        lines = safe_text(str(error)).splitlines()[:3]
        with contextlib.suppress(OSError):
            print("\n".join(lines), file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - or the interpreter tries again at its end
        with contextlib.suppress(OSError):
            print(f"standard output: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _run() -> None:
    """Runs what was typed.

    Raises:
        UserError: when a library is there in a release that lacks what is used of it.
    """
    try:
        app()
    except ImportError as error:
        library = (error.name or "").partition(".")[0]
        if library not in PINNED:
            raise
        raise UserError(
            f"{error.msg}\nthis release of {library} is not one that tui-trainer works with\n"
            "install tui-trainer again, in an environment of its own"
        ) from error


def _is_outliving(on_hangup: str) -> bool:
    """Whether a training goes on when the terminal is gone.

    Raises:
        UserError: for a policy that nobody knows.
    """
    if on_hangup not in ("continue", "stop"):
        raise UserError(f"--on-hangup {on_hangup}: must be continue or stop")
    return on_hangup == "continue"


def _prepare_outputs() -> None:
    """An output that is closed takes nothing; one that is not UTF-8 gets "?" for what it lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


Texts = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--data", metavar="PATH", help="A file, folder or glob of UTF-8 text; may be given again."),
]


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    data: Texts = None,
    overrides: Overrides = None,
    on_hangup: Annotated[Optional[str], ON_HANGUP] = None,  # noqa: UP045
    is_plain: Plain = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Choose a preset, press Enter, and watch. --data and --set hold for whichever preset is chosen."""
    if version:
        typer.echo(f"tui-trainer {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from tui_trainer.cli import plain, watching

        open_picker = plain.open_picker if is_plain else watching.open_picker
        is_outliving = _is_outliving("continue" if on_hangup is None else on_hangup)
        raise typer.Exit(open_picker(overrides or [], data or [], is_outliving=is_outliving))
    given = {"--plain": is_plain, "--data": data, "--set": overrides, "--on-hangup": on_hangup is not None}
    for option in (name for name, is_given in given.items() if is_given):
        raise UserError(f"{option} stands after the command: tui-trainer {context.invoked_subcommand} … {option}")


@app.command()
def train(
    preset: Annotated[str, typer.Argument(metavar="PRESET|FILE.toml", help="A preset's name or a preset file.")],
    base: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--from", metavar="RUN|MODEL_DIR", help="Go on from this model: its weights, shape, tokenizer."),
    ] = None,
    data: Texts = None,
    overrides: Overrides = None,
    run_dir: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--run-dir", metavar="DIR", help="Where the run is kept; must be empty."),
    ] = None,
    headless: Headless = False,
    json: Json = False,
    is_plain: Plain = False,
    on_hangup: OnHangup = "continue",
    device: Device = "auto",
) -> None:
    """Train a GPT from a preset, or go on from a model.

    With --from, go on from one that is trained already.
    """
    from tui_trainer.cli import plain, watching
    from tui_trainer.data.corpus import open_corpus
    from tui_trainer.monitor.run_list import find_busy_here, find_recent
    from tui_trainer.monitor.safe_text import safe_line
    from tui_trainer.presets import load_preset
    from tui_trainer.runs.catalogue import find_base, list_runs, name_of
    from tui_trainer.training.launch import NewRun

    chosen = load_preset(preset).changed(overrides or [], data or [], base)
    if chosen.problem:
        raise UserError(chosen.problem)
    if chosen.config.base.path is not None:
        find_base(chosen.config.base.path)
    corpus = open_corpus(chosen.config.data)  # a missing file is said here and not on a screen that opens first
    if corpus.skipped:
        typer.echo(corpus.name, err=True)
    for busy in find_busy_here(find_recent(list_runs()), time.time()):
        typer.echo(f"{safe_line(name_of(busy))} is training on this machine: both will be slower", err=True)
    request = NewRun(chosen.config, chosen.name, run_dir, device)
    is_outliving = _is_outliving(on_hangup)
    if is_plain:
        plain.refuse_other_forms(headless, json)
        raise typer.Exit(plain.watch(request, is_outliving=is_outliving))
    raise typer.Exit(watching.watch(request, headless=headless, json=json, is_outliving=is_outliving))


@app.command()
def resume(
    run: RunName,
    data: TextPlace = None,
    overrides: Overrides = None,
    allow_changed_data: Annotated[
        bool,
        typer.Option("--allow-changed-data", help="Read the text again, and train on it even if it has changed."),
    ] = False,
    headless: Headless = False,
    json: Json = False,
    is_plain: Plain = False,
    on_hangup: OnHangup = "continue",
    is_paused: Annotated[
        bool, typer.Option("--paused", help="Be ready for the next step, and wait until somebody lets it go on.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Go on with a run from its last checkpoint."""
    from tui_trainer.cli import plain, watching
    from tui_trainer.presets import apply_resume_overrides
    from tui_trainer.runs.catalogue import find_run
    from tui_trainer.training.launch import ResumedRun

    found = find_run(run)
    config = apply_resume_overrides(found.read_config(), overrides or [])
    request = ResumedRun(found, config, device, allow_changed_data, is_paused, tuple(data or ()))
    is_outliving = _is_outliving(on_hangup)
    if is_plain:
        plain.refuse_other_forms(headless, json)
        raise typer.Exit(plain.watch(request, is_outliving=is_outliving))
    raise typer.Exit(watching.watch(request, headless=headless, json=json, is_outliving=is_outliving))


@app.command()
def attach(
    run: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[RUN]", help="The id of a run, or its directory; left out: the one that runs."),
    ] = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="Watch and prompt only: steer nothing.")] = False,
    headless: Headless = False,
    json: Json = False,
    is_plain: Plain = False,
) -> None:
    """Come back to a run that trains, or look at one.

    Its whole history, live; `q` closes only the screen.
    """
    from tui_trainer.cli import attaching, plain

    if is_plain:
        plain.refuse_other_forms(headless, json)
        raise typer.Exit(plain.attach(run, is_readonly=readonly))
    raise typer.Exit(attaching.attach(run, is_readonly=readonly, headless=headless, json=json))


@app.command()
def control(
    run: RunName,
    action: Annotated[str, typer.Argument(metavar="pause|resume|save|stop|evaluate|sample|set", help="What to do.")],
    setting: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[KEY=VALUE]", help="For set: for instance training.learning_rate=3e-4."),
    ] = None,
) -> None:
    """Steer a run that trains, from anywhere."""
    from tui_trainer.cli import steering

    raise typer.Exit(steering.control(run, action, setting))


@app.command("runs")
def show_runs() -> None:
    """List the runs on this machine, newest first."""
    from tui_trainer.console.tables import runs_table
    from tui_trainer.runs import catalogue

    found = catalogue.list_runs()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
    typer.echo(runs_table(found, width) if found else "no runs yet; start one: tui-trainer train quick-test")


presets_app = typer.Typer(rich_markup_mode=None, help="List the presets, or show one as the file it is.")
app.add_typer(presets_app, name="presets")


@presets_app.callback(invoke_without_command=True)
def presets(context: typer.Context) -> None:
    """List the presets, or show one as the file it is."""
    if context.invoked_subcommand is None:
        from tui_trainer.cli import watching
        from tui_trainer.presets import list_presets

        typer.echo(watching.describe_presets(list_presets()))


@presets_app.command("show")
def show_preset(name: Annotated[str, typer.Argument(metavar="NAME", help="A preset's name or file.")]) -> None:
    """Print a preset: save it under another name, change it, and train from it."""
    from tui_trainer.monitor.safe_text import safe_text
    from tui_trainer.presets import load_preset

    typer.echo(safe_text(load_preset(name).path.read_text(encoding="utf-8-sig")), nl=False)


for command in (model_commands.generate, model_commands.compare, model_commands.export, model_commands.serve):
    app.command()(command)
