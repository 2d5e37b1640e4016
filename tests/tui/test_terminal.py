"""What is told of a terminal by its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tui_trainer.errors import UserError
from tui_trainer.tui.terminal import TerminalKind, judge_terminal

MODERN = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "en_US.UTF-8"}

JUDGE_OURSELVES = """
import json
from tui_trainer.tui.terminal import environment_at_start, judge_terminal
kind = judge_terminal(environment_at_start())
print(json.dumps([kind.charts, kind.is_ascii]))
"""


def judge(**changes: str) -> TerminalKind:
    return judge_terminal(MODERN | changes)


def judge_in_a_process(**variables: str) -> tuple[str, bool]:
    """As the program finds it: Python changes LC_CTYPE before any of our lines runs."""
    environment = {key: value for key, value in os.environ.items() if key not in ("LANG", "LC_ALL", "LC_CTYPE")}
    for name in ("TMUX", "STY"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", JUDGE_OURSELVES],
        env=environment | {"TERM": "xterm"} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    charts, is_ascii = json.loads(done.stdout)
    return charts, is_ascii


def test_a_terminal_of_today_shows_everything():
    assert judge() == TerminalKind("braille", "all", "truecolor")


@pytest.mark.parametrize(
    ("variables", "is_ascii"),
    [
        ({}, False),
        ({"LANG": ""}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "ko_KR.utf8"}, False),
        ({"LANG": "de_DE.UTF-8@euro"}, False),
        ({"LANG": "en_US"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LC_CTYPE": "UTF-8", "LANG": "C"}, False),
        ({"LC_ALL": "C.UTF-8", "LANG": "ko_KR.eucKR"}, False),
        ({"LC_CTYPE": "en_US.UTF-8", "LANG": "C"}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "POSIX"}, True),
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, True),
        ({"LANG": "ko_KR.eucKR"}, True),
        ({"LANG": "en_US.ISO-8859-1"}, True),
        ({"LC_ALL": "de_DE.ISO-8859-15@euro"}, True),
        ({"LC_CTYPE": "ja_JP.SJIS", "LANG": "en_US.UTF-8"}, True),
    ],
)
def test_the_locale_decides_between_all_signs_and_ascii(variables, is_ascii):
    assert judge_in_a_process(**variables) == ("ascii" if is_ascii else "braille", is_ascii)


def test_a_locale_that_is_not_installed_here_still_says_what_the_terminal_speaks():
    assert judge_in_a_process(LC_CTYPE="UTF-8", TMUX="1") == ("braille", False)
    assert judge_in_a_process(LC_CTYPE="xx_XX.UTF-8", TMUX="1") == ("braille", False)


@pytest.mark.parametrize("multiplexer", ["TMUX", "STY"])
@pytest.mark.parametrize(("language", "is_ascii"), [("", True), ("en_US", True), ("en_US.UTF-8", False)])
def test_a_multiplexer_takes_no_locale_for_an_old_terminal(multiplexer, language, is_ascii):
    assert judge(LANG=language, **{multiplexer: "1"}).is_ascii is is_ascii
    assert judge_in_a_process(LANG=language, **{multiplexer: "1"})[1] is is_ascii


def test_the_linux_console_has_lines_but_no_dots():
    assert judge_terminal({"TERM": "linux", "LANG": "en_US.UTF-8"}) == TerminalKind("ascii", "console", "16")


@pytest.mark.parametrize("charts", ["braille", "blocks", "ascii"])
def test_a_person_can_say_what_curves_are_drawn_with(charts):
    assert judge(TUI_TRAINER_CHARTS=charts) == TerminalKind(charts, "all", "truecolor")
    assert judge(TUI_TRAINER_CHARTS=charts, TERM="linux").charts == charts
    assert judge(TUI_TRAINER_CHARTS=charts, LC_ALL="C").is_ascii is (charts == "ascii")


def test_an_empty_override_is_none():
    assert judge(TUI_TRAINER_CHARTS="").charts == "braille"


def test_a_wrong_override_is_one_line():
    with pytest.raises(UserError, match=r'TUI_TRAINER_CHARTS=brail: .*did you mean "braille"') as error:
        judge(TUI_TRAINER_CHARTS="brail")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("variables", "colours"),
    [
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit"}, "truecolor"),
        ({"TERM": "xterm-256color", "COLORTERM": "yes"}, "256"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "xterm-16color"}, "16"),
        ({"TERM": "xterm-kitty"}, "truecolor"),
        ({"TERM": "alacritty"}, "truecolor"),
        ({"TERM": "xterm-direct"}, "truecolor"),
        ({"TERM": "tmux-256color", "TMUX": "1"}, "256"),
        ({"TERM": "screen", "TMUX": "1", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "screen", "STY": "1", "COLORTERM": "truecolor"}, "16"),
        ({"TERM": "screen.xterm-256color", "STY": "1", "COLORTERM": "truecolor"}, "256"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "linux-m"}, "none"),
        ({"TERM": "vt100"}, "none"),
        ({"TERM": "vt220"}, "none"),
        ({"TERM": "xterm-mono"}, "none"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, "none"),
        ({}, "16"),
    ],
)
def test_colours(variables, colours):
    assert judge_terminal(variables).colours == colours
