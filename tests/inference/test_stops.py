"""Stop strings: what is shown is the text before the first of them, however it comes."""

from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.inference.stops import StopFinder

LETTERS = st.text(alphabet="ab\n", max_size=40)


@given(
    pieces=st.lists(LETTERS, max_size=12), stops=st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=3)
)
def test_the_text_before_the_first_stop_is_shown(pieces: list[str], stops: list[str]) -> None:
    finder, shown = StopFinder(stops), ""
    for piece in pieces:
        shown += finder.take(piece)
        if finder.is_over:
            break
    shown += finder.rest()
    ends = [
        end for end in range(len("".join(pieces)) + 1) if any("".join(pieces)[:end].endswith(stop) for stop in stops)
    ]
    if not ends:
        assert (shown, finder.is_over) == ("".join(pieces), False)
    else:
        assert finder.is_over
        assert not any(stop in shown for stop in stops) and "".join(pieces).startswith(shown)


@given(text=LETTERS, stop=st.text(alphabet="ab", min_size=1, max_size=4))
def test_letter_by_letter_it_is_the_same(text: str, stop: str) -> None:
    finder = StopFinder([stop])
    shown = "".join("" if finder.is_over else finder.take(letter) for letter in text) + finder.rest()
    assert shown == text.partition(stop)[0]


def test_only_what_may_become_a_stop_is_held_back() -> None:
    finder = StopFinder(["\n\nEnd"])
    assert finder.take("one\n") == "one"
    assert finder.take("two\n\nE") == "\ntwo"
    assert finder.take("xit") == "\n\nExit"
    assert finder.take("\n\nEnd of it") == ""
    assert finder.is_over and finder.rest() == ""
