from __future__ import annotations

import json
import time
from datetime import datetime

import pytest
from typer.testing import CliRunner

from tui_trainer.cli import commands
from tui_trainer.cli.commands import app
from tui_trainer.errors import UserError
from tui_trainer.presets import load_preset
from tui_trainer.runs.catalogue import note_run
from tui_trainer.runs.directory import create_run
from tui_trainer.runs.status import Status


@pytest.mark.parametrize(
    "options", [("--on-hangup", "stop"), ("--plain",), ("--data", "x.txt"), ("--set", "training.max_steps=5")]
)
def test_an_option_that_belongs_after_the_command_is_refused(options):
    result = CliRunner().invoke(app, [*options, "train", "quick-test"])
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(f"{options[0]} stands after the command: tui-trainer train ")


def test_a_policy_that_nobody_knows_is_refused_by_the_picker_too():
    result = CliRunner().invoke(app, ["--on-hangup", ""])
    assert isinstance(result.exception, UserError) and "must be continue or stop" in str(result.exception)


def test_a_library_of_another_release_is_named_in_one_message(monkeypatch, capsys):
    def fail() -> None:
        from textual._compositor import SomethingThatWent  # noqa: F401

    monkeypatch.setattr(commands, "app", fail)
    with pytest.raises(SystemExit) as ended:
        commands.main()
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and len(lines) == 3
    assert "SomethingThatWent" in lines[0] and "this release of textual is not one" in lines[1]


def test_a_second_training_on_this_machine_is_said_and_starts_all_the_same(monkeypatch, tmp_path):
    first = create_run(load_preset("quick-test").config, "quick-test", tmp_path / "first", datetime(2026, 11, 23))
    first.status_file.write_text(json.dumps(Status(state="running", heartbeat=time.time()).__dict__))
    note_run(first)
    monkeypatch.setattr("tui_trainer.cli.watching.watch", lambda request, **_: 0)
    result = CliRunner().invoke(app, ["train", "quick-test"])
    assert result.exit_code == 0
    assert result.stderr.endswith("-quick-test is training on this machine: both will be slower\n")
    first.status_file.write_text(json.dumps(Status(state="finished").__dict__))
    assert "slower" not in CliRunner().invoke(app, ["train", "quick-test"]).stderr
