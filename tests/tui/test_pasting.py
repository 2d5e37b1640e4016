from __future__ import annotations

from hypothesis import assume, example, given
from hypothesis import strategies as st
from textual import events

from tui_trainer.tui.pasting import END, START, PasteParser

PIECES = st.lists(
    st.sampled_from(["a", "가", "\n", "\t", "\x1b", "\x1b[31m", "\x1b[200~", "\x1b[20", "[201~"]), max_size=12
)


def parsed(text: str, cuts: list[int]) -> list[events.Event]:
    """All that a terminal sends, in parts."""
    parser, found, start = PasteParser(), [], 0
    for end in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
        if part := text[start:end]:
            found += parser.feed(part)
        start = end
    return found


@given(pieces=PIECES, cuts=st.lists(st.integers(0, 200), max_size=8))
@example(pieces=["\x1b", "\x1b"], cuts=list(range(20)))
@example(pieces=[], cuts=[3])
def test_a_paste_stays_a_paste(pieces: list[str], cuts: list[int]) -> None:
    """However it is cut; what is typed before and after it arrives as keys."""
    pasted = "".join(pieces)
    assume(END not in pasted)
    found = parsed(f"x{START}{pasted}{END}y", cuts)
    assert [event.key for event in found if isinstance(event, events.Key)] == ["x", "y"]
    assert [event.text for event in found if isinstance(event, events.Paste)] == [pasted.replace("\x1b", "␛")]


def test_keys_are_not_kept_back() -> None:
    parser = PasteParser()
    assert [event.key for event in parser.feed("\x1b[A")] == ["up"]
    assert [event.key for part in ("\x1b[", "B") for event in parser.feed(part)] == ["down"]
