from __future__ import annotations

import os

import pytest

from tui_trainer.runs.control import Command, send_command, take_commands


def test_a_command_arrives_once_as_it_was_sent(tmp_path):
    sent = send_command(tmp_path, "change", "나", {"learning_rate": 1e-4})
    assert take_commands(tmp_path) == [Command(sent, "change", {"learning_rate": 1e-4}, "나")]
    assert take_commands(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_commands_are_taken_in_the_order_in_which_they_were_sent(tmp_path):
    """Even on a file system whose clock ticks too slowly to tell them apart."""
    sent = [send_command(tmp_path, action, "me") for action in ("pause", "save", "stop") * 20]
    for path in tmp_path.iterdir():
        os.utime(path, ns=(1, 1))
    assert [command.id for command in take_commands(tmp_path)] == sent


def test_commands_of_other_programs_are_taken_oldest_first(tmp_path):
    for name, age in (("a", 3), ("b", 1), ("c", 2)):
        path = tmp_path / f"{name}.json"
        path.write_text(f'{{"id": "{name}", "action": "save"}}')
        os.utime(path, ns=(age, age))
    assert [command.id for command in take_commands(tmp_path)] == ["b", "c", "a"]


def test_missing_details_are_filled_in_and_ids_become_text(tmp_path):
    (tmp_path / "x.json").write_text('{"id": 7, "action": "stop"}')
    assert take_commands(tmp_path) == [Command("7", "stop", None, "somebody")]


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b'"stop"', b"{}", b'{"action": "stop"}', b'{"id": 1}', b"[" * 100_000]
)
def test_a_file_that_is_no_command_is_removed(tmp_path, content):
    (tmp_path / "junk.json").write_bytes(content)
    send_command(tmp_path, "stop", "me")
    assert [command.action for command in take_commands(tmp_path)] == ["stop"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(10)
def test_what_is_no_file_neither_stops_the_trainer_nor_comes_again(tmp_path):
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "nowhere.json").symlink_to(tmp_path / "nothing")
    target = tmp_path / "target"
    target.write_text('{"id": 1, "action": "stop"}')
    (tmp_path / "link.json").symlink_to(target)
    send_command(tmp_path, "save", "me")
    assert [command.action for command in take_commands(tmp_path)] == ["save"]
    assert take_commands(tmp_path) == []


def test_a_command_that_is_still_being_written_is_left_alone(tmp_path):
    (tmp_path / ".1.json.99.tmp").write_text('{"id": 1, "action": "stop"}')
    assert take_commands(tmp_path) == []
    assert (tmp_path / ".1.json.99.tmp").exists()


def test_a_run_that_vanished_has_no_commands(tmp_path):
    assert take_commands(tmp_path / "gone") == []
    with pytest.raises(FileNotFoundError):
        send_command(tmp_path / "gone", "stop", "me")
