from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.monitor.safe_text import safe_line, safe_text, without_glosses

C0 = [chr(code) for code in range(0x20) if chr(code) not in "\n\t"]
C1 = [chr(code) for code in range(0x80, 0xA0)]
BIDI = [
    chr(code) for code in range(0x110000) if unicodedata.bidirectional(chr(code)) in
    ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
] + ["\u061c", "\u200e", "\u200f"]  # fmt: skip
SEPARATORS = ["\x7f", "\u2028", "\u2029", "\ufeff"]
SURROGATES = ["\ud800", "\udbff", "\udc00", "\udc80", "\udcff", "\udfff"]


@pytest.mark.parametrize("group", [C0, C1, BIDI, SEPARATORS, SURROGATES], ids=["C0", "C1", "bidi", "others", "lone"])
def test_every_character_that_a_terminal_obeys_is_shown_instead(group):
    for character in group:
        shown = safe_text(f"a{character}b")
        assert character not in shown
        assert shown.isprintable()
        assert len(shown) > 2
        assert (shown[0], shown[-1]) == ("a", "b")


@pytest.mark.parametrize(
    "attack", ["\x1b]52;c;cm0gLXJm\x07", "\x1b]0;title\x1b\\", "\x1b[2J\x1b[6n", "\x9b31m", "\x90q\x9c", "‮txt.exe"]
)
def test_known_attacks_lose_their_teeth(attack):
    assert safe_line(attack).isprintable()


def test_what_is_shown_tells_what_was_there():
    assert safe_text("\x1b[31m\x00\x7f\x9b\u202e\udcff\r") == "␛[31m␀␡\\x9b\\u202e\\udcff␍"


@pytest.mark.parametrize(
    "text",
    [
        "한국어 문장",
        "조합 e\u0301",
        "👩‍👩‍👧‍👦 🏳️‍🌈 ❤️",
        "العربية עברית",
        "漢字　かな",
        "a\tb\nc",
        "[/foo] [@click=app.quit]",
    ],
)
def test_honest_text_is_untouched(text):
    assert safe_text(text) == text


@given(st.text(st.characters(exclude_categories=[])))
def test_a_safe_line_is_one_line_and_can_be_encoded(text):
    line = safe_line(text)
    line.encode()
    assert len(line.splitlines()) <= 1
    assert safe_text(line) == line


def test_a_line_shows_where_lines_ended():
    assert safe_line("a\tb\nc\r\n") == "a b⏎c␍⏎"


def test_korean_words_in_brackets_are_for_korean_readers():
    text = "Lower the rate (학습률): 1e-4 (a tenth); or stop (조기 종료)."
    assert without_glosses(text, {"LANG": "ko_KR.UTF-8"}) == text
    assert without_glosses(text, {"LC_ALL": "en_US.UTF-8", "LANG": "ko_KR.UTF-8"}) == (
        "Lower the rate: 1e-4 (a tenth); or stop."
    )
    assert without_glosses(text, {}) == "Lower the rate: 1e-4 (a tenth); or stop."
