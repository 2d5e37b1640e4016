"""One generation: a thread that writes, and a queue that the screen empties when it has time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from tui_trainer.errors import UserError
from tui_trainer.inference.settings import SamplingSettings
from tui_trainer.inference.writer import Speaker, Writer

PACED_TOKENS_PER_SECOND = 20.0
"""While a training shares the machine, so that its steps go on."""


class Generation:
    """Text on its way. All members may be read at any time; only the thread writes them."""

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        prompt: str,
        settings: SamplingSettings,
        is_paced: Callable[[], bool],
    ) -> None:
        """Starts the thread.

        Args:
            open_writer: gives the writer, perhaps after opening it.
            prompt: what the text goes on from.
            settings: how tokens are chosen.
            is_paced: whether to leave the machine to a training; asked in the thread, for it may look at many runs.
        """
        self._open_writer = open_writer
        self._prompt = prompt
        self._settings = settings
        self._is_paced = is_paced
        self._pieces: SimpleQueue[str] = SimpleQueue()
        self._cancelled = threading.Event()
        self.speaker: Speaker | None = None
        self.remarks: list[str] = []
        self.failure: str | None = None
        # Not a daemon: torch must not be computing while the interpreter is taken down. Cancelled, it ends in a token.
        self._thread = threading.Thread(target=self._run, name="generation")
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive() or not self._pieces.empty()

    def cancel(self) -> None:
        """Ends it after the token that is being made."""
        self._cancelled.set()

    def take(self) -> str:
        """What came since the last call."""
        pieces = []
        while True:
            try:
                pieces.append(self._pieces.get_nowait())
            except Empty:
                return "".join(pieces)

    def _run(self) -> None:
        try:
            writer, pace = self._open_writer(), PACED_TOKENS_PER_SECOND if self._is_paced() else None
            self.speaker = writer.refresh(is_alone=pace is None)
            self.remarks = writer.remarks(self._prompt)
            for piece in writer.stream(self._prompt, self._settings, self._cancelled.is_set, pace):
                self._pieces.put(piece)
        except UserError as error:
            self.failure = str(error)
        except Exception as error:  # noqa: BLE001 - shown in the panel; the training must not end for it
            self.failure = f"{type(error).__name__}: {error}"
