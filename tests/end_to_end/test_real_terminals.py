"""The screen in real pseudo-terminals of every kind and size, and in the programs that stand between: no training."""

from __future__ import annotations

import random
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pexpect
import pyte
import pytest
from terminal import Terminal

pytestmark = pytest.mark.terminal

APP = Path(__file__).parent.parent / "tui" / "recorded_app.py"
LOCALES = ("LANG", "LC_ALL", "LC_CTYPE", "TMUX", "STY", "COLORTERM", "NO_COLOR")
UTF8 = {"LC_ALL": "C.UTF-8"}
OLD_LOCALES = [{"LANG": "en_US.ISO-8859-1"}, {"LC_ALL": "ko_KR.eucKR"}, {"LANG": "C"}, {"LC_ALL": "POSIX"}]
STORM = [(0, 0), (1, 1), (20, 5), (500, 300), (80, 24), (40, 12), (120, 40), (200, 50)]
RESIZES, STORM_SECONDS, QUIET_SECONDS = 1000, 2.0, 1.0


@pytest.fixture(autouse=True)
def no_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test says itself what its terminal is."""
    for name in LOCALES:
        monkeypatch.delenv(name, raising=False)


@contextmanager
def opened(
    kind: str, folder: Path, *before: str, size: tuple[int, int] = (80, 24), **variables: str
) -> Iterator[Terminal]:
    """The app on a recording, started by the command `before`, if there is one."""
    program = (*before, sys.executable, str(APP))
    with Terminal(kind, str(folder), program=program, size=size, **variables) as terminal:
        yield terminal


def shows(*words: str) -> Callable[[str], bool]:
    """Whether all of them stand there: a screen may arrive in pieces."""
    return lambda text: all(word in text for word in words)


def rows(terminal: Terminal) -> list[str]:
    """What stands there, one character a cell: pyte leaves the second cell of a wide one empty."""
    lines = terminal.screen.buffer
    return [
        "".join(lines[y][x].data or "\0" for x in range(terminal.screen.columns)) for y in range(terminal.screen.lines)
    ]


def assert_is_whole(terminal: Terminal, side: str = "│") -> None:
    """The monitor from its first line to its last, each frame closed in the last column, and nothing beside it."""
    shown = rows(terminal)
    assert shown[0].startswith(" tui-trainer") and "step 1,938 / 2,400" in shown[0]
    assert "81 %" in shown[1] and "q quit" in shown[-1]
    chart = shown[3 : 3 + next(index for index, row in enumerate(shown[3:]) if not row.startswith(side))]
    assert len(chart) >= 8
    assert all(row.endswith(side) for row in chart), "\n".join(shown)


@pytest.mark.parametrize(
    "kind", ["xterm-256color", "xterm", "xterm-16color", "screen", "screen-256color", "tmux-256color"]
)
def test_the_monitor_in_terminals_that_have_every_sign(tmp_path, kind):
    with opened("monitor", tmp_path, TERM=kind, **UTF8) as terminal:
        terminal.wait_for(shows("✗ val 5.909", "q quit"))
        assert_is_whole(terminal)
        terminal.wait_for(lambda text: re.search("[\u2801-\u28ff]", text) is not None)


@pytest.mark.parametrize("kind", ["monitor", "picker"])
@pytest.mark.parametrize("locale", OLD_LOCALES, ids=lambda locale: next(iter(locale.values())))
def test_an_old_terminal_never_gets_a_byte_that_it_does_not_know(tmp_path, kind, locale):
    with opened(kind, tmp_path, **locale) as terminal:
        if kind == "monitor":
            terminal.wait_for(shows("x val 5.909", "q quit"))
            assert_is_whole(terminal, "|")
            terminal.press("p", "\r")
            terminal.wait_for("The value of ???? ????????. ?? done.")
        else:
            terminal.wait_for(shows("????-????", "q quit"))
            assert {row[25] for row in rows(terminal)[2:-2]} == {"|"}, "the frame is where it was"
    assert max(terminal.output) < 0x80


def test_wide_characters_keep_their_columns(tmp_path):
    with opened("picker", tmp_path, **UTF8) as terminal:
        terminal.wait_for(shows("시", "q quit"))
        assert {row[25] for row in rows(terminal)[2:-2]} == {"│"}


@pytest.mark.parametrize("typed", [b"\xe9", b"\xc7\xd1\xb1\xdb", b"\xff\xfe\x80"])
def test_letters_of_an_old_terminal_do_no_harm(tmp_path, typed):
    with opened("monitor", tmp_path, LANG="ko_KR.eucKR") as terminal:
        terminal.wait_for("x val 5.909")
        terminal.press("p")
        terminal.process.send(typed)
        terminal.read(0.5)
        terminal.press("a", "b", "c")  # the first may be taken for the end of a letter that never came
        terminal.wait_for(lambda text: re.search("> .*bc ", text) is not None)


def test_the_linux_console_gets_signs_of_its_fonts(tmp_path):
    with opened("monitor", tmp_path, TERM="linux", LANG="ko_KR.UTF-8") as terminal:
        terminal.wait_for(shows("x val 5.909", "q quit"))
        assert_is_whole(terminal)
        assert not set("╭╮╰╯━╸●▸◆❯✗…") & set(terminal.text)


def test_no_color_sends_none(tmp_path):
    with opened("monitor", tmp_path, NO_COLOR="1", COLORTERM="truecolor", **UTF8) as terminal:
        terminal.wait_for(shows("✗ val 5.909", "q quit"))
        assert_is_whole(terminal)
    styles = {part for style in re.findall(rb"\x1b\[([0-9;]*)m", terminal.output) for part in style.split(b";")}
    assert styles <= {b"0", b"1", b"2", b"39", b"49"} and {b"1", b"2"} <= styles


@pytest.mark.parametrize("size", [(40, 12), (45, 30), (120, 40), (200, 50)])
def test_every_size_shows_what_it_has_room_for(tmp_path, size):
    with opened("monitor", tmp_path, size=size, **UTF8) as terminal:
        terminal.wait_for(shows("val 5.909 is 1.54 above its best", "step 1,938", "81 %", "q quit"))


@pytest.mark.parametrize("size", [(30, 8), (39, 24), (80, 11)])
def test_below_that_one_friendly_line(tmp_path, size):
    with opened("monitor", tmp_path, size=size, **UTF8) as terminal:
        terminal.wait_for(lambda text: text.strip() == "make me a little larger")
        terminal.read(1.0)
        assert terminal.text.strip() == "make me a little larger"


def test_a_storm_of_resizes_ends_with_the_last_size(tmp_path):
    with opened("monitor", tmp_path, **UTF8) as terminal:
        terminal.wait_for(shows("✗ val 5.909", "q quit"))
        weather, start = random.Random(0), time.monotonic()
        for number in range(RESIZES):
            columns, lines = weather.choice(STORM)
            terminal.process.setwinsize(lines, columns)
            drain(terminal, until=start + STORM_SECONDS * (number + 1) / RESIZES)
        terminal.process.setwinsize(30, 100)
        at_once = last = time.monotonic()
        drawn = b""
        while time.monotonic() < last + QUIET_SECONDS:
            if taken := drain(terminal, until=time.monotonic() + 0.01):
                drawn, last = drawn + taken, time.monotonic()
        screen = pyte.Screen(100, 30)
        pyte.ByteStream(screen).feed(drawn)
        assert screen.display[0].startswith(" tui-trainer ▸ quick-test ▸ 1123-1708"), screen.display
        assert "q quit" in screen.display[-1] and terminal.process.isalive()
        assert last - at_once < 2, "0.1 to 0.3 s on two idle cores"


def drain(terminal: Terminal, until: float) -> bytes:
    """Takes what is written without showing it: pyte is slower than any terminal."""
    taken = b""
    while True:
        with suppress(pexpect.TIMEOUT):
            taken += terminal.process.read_nonblocking(1 << 17, timeout=0.002)
        if time.monotonic() >= until:
            return taken


@pytest.mark.parametrize(
    ("variable", "value", "known"), [("TUI_TRAINER_CHARTS", "dots", "braille"), ("TUI_TRAINER_THEME", "drak", "dark")]
)
def test_a_wrong_wish_is_said_before_the_screen_opens(variable, value, known):
    with Terminal(**UTF8, **{variable: value}) as terminal:
        assert terminal.wait_for_exit() == 2
    said = terminal.output.decode()
    assert said.startswith(f"{variable}={value}: ") and known in said and len(said.splitlines()) == 1


def test_the_program_itself_is_ascii_from_its_first_byte_to_its_last():
    with Terminal(LANG="ko_KR.eucKR") as terminal:
        terminal.wait_for(shows("choose what to train", "q quit"))
        terminal.press("\x1b[B", "?")
        terminal.wait_for("perplexity")
        terminal.press("\x1b", "q")
        assert terminal.wait_for_exit() == 0
    assert max(terminal.output) < 0x80


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
@pytest.mark.parametrize("locale", [UTF8, {}], ids=["UTF-8", "no locale"])
@pytest.mark.parametrize("kind", ["tmux-256color", "screen", "linux", "vt100"])
def test_inside_of_tmux(tmp_path, kind, locale):
    server = f"test-{tmp_path.name}-{id(tmp_path)}"
    settings = tmp_path / "tmux.conf"
    settings.write_text(f"set -g default-terminal {kind}\nset -g status off\n")
    program = ["tmux", "-L", server, "-f", str(settings), "new-session"]
    try:
        with opened("monitor", tmp_path, *program, **locale) as terminal:
            assert_monitor_in_a_multiplexer(terminal)
    finally:
        pexpect.run(f"tmux -L {server} kill-server")


@pytest.mark.skipif(not shutil.which("screen"), reason="GNU screen is not installed")
@pytest.mark.parametrize("locale", [UTF8, {}], ids=["UTF-8", "no locale"])
@pytest.mark.parametrize("kind", ["screen", "screen-256color"])
def test_inside_of_screen(tmp_path, monkeypatch, kind, locale):
    sockets = tmp_path / "sockets"
    sockets.mkdir(mode=0o700)
    settings = tmp_path / "screenrc"
    settings.write_text(f"startup_message off\nterm {kind}\n")
    variables = {"SCREENDIR": str(sockets), "COLORTERM": "truecolor", **locale}
    with opened("monitor", tmp_path, "screen", "-c", str(settings), **variables) as terminal:
        assert_monitor_in_a_multiplexer(terminal)
        styles = {(cell.blink, cell.strikethrough, cell.italics) for cell in terminal.screen.buffer[0].values()}
        assert styles == {(False, False, False)}, "screen takes the numbers of true colour for these"
        terminal.press("\x01", "\\", "y")


def assert_monitor_in_a_multiplexer(terminal: Terminal) -> None:
    terminal.wait_for(shows("val 5.909 is 1.54 above its best", "q quit"))
    sides = {row[-1] for row in rows(terminal)[3:10]}
    assert len(sides) == 1 and sides <= {"│", "|"}, terminal.text
    assert "step 1,938 / 2,400" in rows(terminal)[0]
    assert "_____" not in terminal.text, "what tmux writes for a sign that its terminal lacks"
