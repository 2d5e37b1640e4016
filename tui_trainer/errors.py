"""What a person can do wrong, said so that they can put it right."""

from __future__ import annotations

import difflib

INSTALL_EXTRAS = "from tui-trainer's source folder: pip install -c constraints.txt '.[export,serve]'"
"""tui-trainer is on no package registry: it is installed from a checkout."""


class UserError(Exception):
    """A mistake that the person at the keyboard can mend.

    The message is one to three lines: the file, the key or value that is wrong, and the fix. The
    program prints it without a traceback and exits with code 2.
    """


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint such as ` (did you mean "n_layer"?)`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""
