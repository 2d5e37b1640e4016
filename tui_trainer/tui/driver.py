"""A terminal driver that survives its terminal.

Textual's own ends a process in three ways that a training must not: it writes to standard error, which C libraries
write to as well; it dies of the first write to a terminal that is gone; and it starts its application mode again on
any SIGCONT, also on one that no stop preceded.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from io import TextIOWrapper
from typing import cast

from textual.app import App
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

from tui_trainer.tui.pasting import PasteParser
from tui_trainer.tui.signs import TRANSLATORS, Translator, leave_alone

linux_driver.XTermParser = PasteParser  # type: ignore[attr-defined]
"""Textual's driver makes its parser itself, and asks nobody which."""


class ScreenFile:
    """A text file on a descriptor of its own that swallows what nobody can see any more.

    All that reaches the terminal passes here, so this is where signs that it lacks become others.
    """

    def __init__(self, descriptor: int, on_gone: Callable[[], None], translate: Translator = leave_alone) -> None:
        self._descriptor = descriptor
        self._on_gone = on_gone
        self._translate = translate
        self.is_gone = False

    def write(self, text: str) -> int:
        """Writes it all, or nothing more once the terminal is gone."""
        content = self._translate(text).encode("utf-8", "replace")
        while content and not self.is_gone:
            try:
                content = content[os.write(self._descriptor, content) :]
            except BlockingIOError:  # somebody left the terminal in non-blocking mode
                select.select([], [self._descriptor], [], 1.0)
            except OSError:
                self._on_gone()
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor


class SurvivingDriver(LinuxDriver):
    """Textual's Linux driver, on an own descriptor, that lets go of a dead terminal."""

    screen_descriptor = 2
    signs = "all"

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._screen = ScreenFile(self.screen_descriptor, self.let_go, TRANSLATORS[self.signs])
        self._file = cast("TextIOWrapper", self._screen)
        self._is_suspended = False

    def _get_terminal_size(self) -> tuple[int, int]:
        """Of the screen, not of standard output, which is a file while the app runs."""
        try:
            width, height = os.get_terminal_size(self._screen.fileno())
        except OSError:
            width, height = 0, 0
        return width or 80, height or 24

    @property
    def is_gone(self) -> bool:
        """Whether nobody can see the screen any more."""
        return self._screen.is_gone

    def let_go(self) -> None:
        """The terminal is gone: nothing is written or read any more. Safe from any thread."""
        if self._screen.is_gone:
            return
        self._screen.is_gone = True
        self.exit_event.set()
        # After the input thread was told to end, or it would spin on a descriptor that is always at its end.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, self._screen.fileno()):
            os.dup2(null, descriptor)
        os.close(null)
        self._app.exit()

    def run_input_thread(self) -> None:
        """Reads on after bytes that are no UTF-8: an old terminal, or line noise, must not end a training."""
        while not self.exit_event.is_set():
            with contextlib.suppress(UnicodeDecodeError):
                super().run_input_thread()

    def _sigtstp_application(self, *_: object) -> None:
        self._is_suspended = True
        super()._sigtstp_application()

    def _sigcont_application(self, *_: object) -> None:
        if self._is_suspended:
            self._is_suspended = False
            super()._sigcont_application()


def driver_on(descriptor: int, signs: str = "all") -> type[SurvivingDriver]:
    """The driver class for a screen on this descriptor: Textual makes the instance itself.

    Args:
        descriptor: of the terminal.
        signs: what it can show, as `TerminalKind.signs` says.
    """
    settings = {"screen_descriptor": descriptor, "signs": signs}
    return cast("type[SurvivingDriver]", type("ScreenDriver", (SurvivingDriver,), settings))
