"""`--plain`: short sentences to listen to and commands to type, for people with a screen reader."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence

from tui_trainer.cli.attached_run import AttachedRun
from tui_trainer.cli.attaching import find_the_one
from tui_trainer.cli.own_training import OwnTraining
from tui_trainer.cli.plain_choice import Choice, choose
from tui_trainer.cli.plain_conversation import Conversation
from tui_trainer.cli.plain_input import TypedLines
from tui_trainer.cli.signals import SignalWatcher
from tui_trainer.cli.summary import ways_on
from tui_trainer.cli.terminal_loss import TerminalLoss
from tui_trainer.cli.watching import finish, print_line
from tui_trainer.console import spoken_state
from tui_trainer.console.spoken_lists import preset_sentence, run_sentence
from tui_trainer.console.spoken_words import sentence, verbatim
from tui_trainer.errors import UserError
from tui_trainer.monitor.follower import RunFollower
from tui_trainer.monitor.forecast import make_forecasts
from tui_trainer.monitor.liveness import Liveness, judge
from tui_trainer.monitor.safe_text import safe_line
from tui_trainer.presets import Preset, change_presets, list_presets
from tui_trainer.runs.catalogue import find_run, list_runs, name_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_log import last_segment
from tui_trainer.training.launch import NewRun, ResumedRun, ignore_directory

MAX_RUNS = 20
"""So many of the newest are offered."""
WAYS = {
    "generate": "To let its model write, run this:",
    "compare": "To see it beside the model it went on from, run this:",
    "attach": "It trains on. To come back to it, run this:",
    "resume": "To go on with it, run this:",
}


def refuse_other_forms(*others: bool) -> None:
    """One way to tell of a run is enough.

    Raises:
        UserError: when lines or JSON are asked for as well.
    """
    if any(others):
        raise UserError("--plain, --headless and --json are three ways to tell the same: choose one")


def open_picker(overrides: Sequence[str], data: Sequence[str], *, is_outliving: bool) -> int:
    """Lets a person choose a preset by its number, and trains it. Returns the exit code.

    Args:
        overrides: `section.key=value` changes to whichever preset is chosen.
        data: text for whichever preset is chosen, instead of its own.
        is_outliving: whether a training goes on when the terminal hangs up.

    Raises:
        UserError: for a change that no preset takes, or when none can start here.
    """
    presets = change_presets(list_presets(), overrides, data)
    lines = _typed_lines()
    index, exit_code = _choose(_preset_choices(presets), lines)
    if index is None:
        return exit_code
    return _train(NewRun(presets[index].config, presets[index].name), lines, is_outliving=is_outliving)


def watch(request: NewRun | ResumedRun, *, is_outliving: bool) -> int:
    """Trains and tells of it. Returns the exit code."""
    return _train(request, _typed_lines(), is_outliving=is_outliving)


def attach(name: str | None, *, is_readonly: bool) -> int:
    """Comes back to a run: says how it stands, then what is new. Returns the exit code.

    Raises:
        UserError: when there is no such run, or none at all.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # this process never trains, and must not slow down one that does
    lines = _typed_lines()
    run = find_run(name) if name else find_the_one()
    if run is None:
        runs = list_runs()[:MAX_RUNS]
        index, exit_code = _choose([Choice(name_of(run), run_sentence(run, time.time())) for run in runs], lines)
        if index is None:
            return exit_code
        run = runs[index]
    return _attach(run, lines, is_readonly=is_readonly)


def _typed_lines() -> TypedLines:
    """Of standard input; where it is closed, its number may be that of any other file."""
    return TypedLines(0 if sys.stdin else None)


def _preset_choices(presets: Sequence[Preset]) -> list[Choice]:
    forecasts = make_forecasts(presets)
    if all(forecast.problem for forecast in forecasts):
        raise UserError(forecasts[0].problem)
    return [
        Choice(preset.name, preset_sentence(preset, forecast), forecast.problem)
        for preset, forecast in zip(presets, forecasts, strict=True)
    ]


def _choose(choices: Sequence[Choice], lines: TypedLines) -> tuple[int | None, int]:
    """The index of what was chosen, and the exit code when it is None."""
    is_over = threading.Event()
    with SignalWatcher(is_over.set, _do_nothing, _do_nothing, _end_with_terminal) as signals:
        index = choose(choices, lines, is_over.is_set)
    return index, 128 + signals.received if signals.received else 0


def _train(request: NewRun | ResumedRun, lines: TypedLines, *, is_outliving: bool) -> int:
    print_line("Starting, which takes a few seconds. Type help to hear what you can type.")
    first_segment = last_segment(request.run.event_log) + 1 if isinstance(request, ResumedRun) else 0
    training = OwnTraining(request, ignore_directory)
    conversation = Conversation(training, lines, first_segment=first_segment)
    loss = TerminalLoss(lambda: training, is_outliving=is_outliving)
    with SignalWatcher(training.stop, training.join, _do_nothing, loss.outlive) as signals:
        try:
            conversation.follow(lambda: False)
        finally:  # whatever telling met, the training is saved before the signals are let go
            if training.is_alive():
                training.stop()
                training.join()
    if conversation.follower and training.run_dir:
        _say_goodbye(conversation.follower)
    elif not training.failure:
        print_line("It was stopped before there was anything to keep.")
    return finish(training, signals.received)


def _attach(run: RunDirectory, lines: TypedLines, *, is_readonly: bool) -> int:
    attached, follower, is_over = AttachedRun(run), RunFollower(run), threading.Event()
    conversation = Conversation(attached, lines, is_readonly=is_readonly)
    with SignalWatcher(is_over.set, _do_nothing, _do_nothing, _end_with_terminal) as signals:
        print_line(sentence(f"This is run {verbatim(run.run_id)}, made from {verbatim(run.preset) or 'a preset'}"))
        conversation.catch_up(follower, is_over.is_set)
        if not is_over.is_set():
            _say_place(follower, is_alive=attached.is_alive())
            conversation.follow(is_over.is_set)
    _say_goodbye(follower)
    return 128 + signals.received if signals.received else 0


def _say_place(follower: RunFollower, *, is_alive: bool) -> None:
    """How it stands, and whether there is something to type."""
    for line in spoken_state.place(follower):
        print_line(line)
    if is_alive:
        print_line("Type help to hear what you can type.")


def _say_goodbye(follower: RunFollower) -> None:
    """What came of it, where it is, and how to go on."""
    follower.catch_up()
    state = follower.state
    if not state.ended and judge(follower.status, time.time()) is Liveness.DEAD:
        print_line("The process that trained it is gone.")
    if state.ended:
        for line in spoken_state.results(state):
            print_line(line)
    print_line("The run is kept here:")
    print_line(safe_line(str(follower.run.path)))
    for name, command in ways_on(follower).items():
        print_line(WAYS[name])
        print_line(safe_line(command if name in ("generate", "compare") else f"{command} --plain"))


def _do_nothing() -> None:
    """There is nothing to save, or no screen to close."""


def _end_with_terminal() -> bool:
    """Nothing goes on without one."""
    return False
