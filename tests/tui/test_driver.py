"""What the driver writes to its terminal, and reads from it."""

from __future__ import annotations

import os

from tui_trainer.tui.driver import ScreenFile, driver_on
from tui_trainer.tui.signs import to_ascii


def read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_everything_reaches_the_terminal_as_its_signs():
    read, write = os.pipe()
    screen = ScreenFile(write, lambda: None, to_ascii)
    assert screen.write("\x1b[1;1H╭ 한글 ✓") == len("\x1b[1;1H╭ 한글 ✓")
    os.close(write)
    assert read_all(read) == b"\x1b[1;1H+ ???? +"


def test_a_terminal_of_today_gets_utf8():
    read, write = os.pipe()
    ScreenFile(write, lambda: None).write("╭ 한")
    os.close(write)
    assert read_all(read) == "╭ 한".encode()


def test_a_dead_terminal_is_let_go_once():
    read, write = os.pipe()
    os.close(read)
    calls = []

    def let_go() -> None:
        calls.append(1)
        screen.is_gone = True

    screen = ScreenFile(write, let_go)
    screen.write("a")
    screen.write("b")
    os.close(write)
    assert calls == [1]


def test_the_class_of_the_driver_knows_its_terminal():
    kind = driver_on(5, "ascii")
    assert (kind.screen_descriptor, kind.signs) == (5, "ascii")
    assert driver_on(6).signs == "all"
