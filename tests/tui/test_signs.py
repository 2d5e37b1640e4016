"""What a terminal gets that lacks our signs."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui_trainer.tui.signs import ASCII_FOR, CONSOLE_FOR, TRANSLATORS, leave_alone, to_ascii, to_console

IN_EVERY_CONSOLE_FONT = set("─│┌┐└┘├┤┬┴┼═║█░▒■•·♦▲▼▶◀»«¶°±")
"""Taken from the Unicode tables of the kernel's own font and of Debian's Lat15, Uni2 and FullGreek fonts."""

LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp"))


@given(st.text(LETTERS))
def test_ascii_is_ascii_and_keeps_every_column(text):
    shown = to_ascii(text)
    assert shown.isascii()
    assert cell_len(shown) == cell_len(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("╭─ loss ─╮│ 7.0 ┤ ━━╸── ║═", "+- loss -+| 7.0 + ===-- |="),
        ("✓ ▲ ✗ • · ● ◆ ▼ ❯ ▸ ⏎ … – − ×", "+ ! x - . * @ v > > < . - - x"),
        ("▁▂▃▄▅▆▇█", "_.:-=+*#"),
        ("⠁⠤⣀⠇⠀", "'..: "),
        ("한국어 답", "?????? ??"),
        ("👩‍👩‍👧!", "??!"),
        ("Café Ünï e\u0301x ﬁ", "Cafe Uni ex ?"),
        ("a\u200bb", "ab"),
        ("\x1b[31m가\x1b[0m", "\x1b[31m??\x1b[0m"),
    ],
)
def test_ascii_takes_the_nearest_sign(text, shown):
    assert to_ascii(text) == shown


def test_levels_of_the_verdict_stay_apart_in_ascii():
    from tui_trainer.tui.widgets.verdict_line import SIGNS

    assert len({to_ascii(sign) for sign in SIGNS.values()}) == len(SIGNS)
    assert len({to_console(sign) for sign in SIGNS.values()}) == len(SIGNS)


def test_the_console_keeps_what_its_fonts_have():
    assert to_console("╭─ loss ─╮│ 7.0 ┤ ━━╸── ◆ ✓ ▲ ● ❯ …") == "┌─ loss ─┐│ 7.0 ┤ ═══── ♦ + ▲ • ▶ ."
    assert to_console("한국어 Café") == "한국어 Café"
    given = {sign for sign in CONSOLE_FOR if not sign.isascii()}
    assert given <= IN_EVERY_CONSOLE_FONT


@pytest.mark.parametrize("table", [ASCII_FOR, CONSOLE_FOR])
def test_signs_are_as_wide_as_what_stands_for_them(table):
    for instead, signs in table.items():
        assert {cell_len(sign) for sign in signs} == {cell_len(instead)} == {1}, (instead, signs)


def test_each_sign_has_one_replacement():
    for table in (ASCII_FOR, CONSOLE_FOR):
        signs = "".join(table.values())
        assert len(signs) == len(set(signs))


def test_every_box_line_has_a_replacement():
    for code in range(0x2500, 0x2580):
        assert to_ascii(chr(code)) in "+-=|/\\X", unicodedata.name(chr(code))


def test_a_terminal_of_today_gets_what_was_written():
    assert TRANSLATORS["all"] is leave_alone and leave_alone("╭ 한 ✓") == "╭ 한 ✓"
