"""The one thread that owns the model: answers a few requests in turn, a token each."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from tui_trainer.deploy.server.job import Job, Part
from tui_trainer.deploy.server.limits import Limits
from tui_trainer.deploy.server.refusal import Refusal
from tui_trainer.errors import UserError
from tui_trainer.inference.threads import on_one_core
from tui_trainer.training.failures import is_out_of_memory

if TYPE_CHECKING:
    from tui_trainer.data.tokenizers import Tokenizer
    from tui_trainer.inference.generator import Piece
    from tui_trainer.inference.settings import SamplingSettings
    from tui_trainer.inference.writer import Speaker

REST_FOR_WORK = 7.0
"""While somebody trains here, the engine rests seven times as long as it worked: an eighth of one core is its share."""
LONGEST_REST_SECONDS = 1.0
NOT_FREE = "all places are taken; come again in a moment"
ENDED = "the server is ending, or its engine has failed"
FAILED = "the model failed; the server's log says how"
NO_MEMORY = "memory ran out while the model wrote; a shorter prompt, or fewer requests at once, need less"


class Writer(Protocol):
    """What the engine needs of a `TextGenerator`."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def context_length(self) -> int: ...

    def refresh(self, *, is_alone: bool) -> Speaker: ...

    def hold(self) -> Writer: ...

    def pieces(
        self,
        prompt: str | Sequence[int],
        settings: SamplingSettings,
        is_cancelled: Callable[[], bool],
    ) -> Iterator[Piece]: ...


class Engine:
    """Requests wait in line for a slot; who has one gets a token each time round."""

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        is_training: Callable[[], bool],
        limits: Limits,
        log: Callable[[str], None],
    ) -> None:
        """Prepares the thread.

        Args:
            open_writer: called in the thread: it takes the seconds that torch needs to load.
            is_training: whether the same machine trains, asked at each token; then the engine is sparing.
            limits: slots and places in line.
            log: takes lines for whoever runs the server, and never makes the thread wait.
        """
        self._open_writer = open_writer
        self._is_training = is_training
        self._limits = limits
        self._log = log
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._active: dict[Job, Iterator[None]] = {}
        self._is_sparing = False
        self._is_closed = False
        self._is_ready = threading.Event()
        self._failure: Exception | None = None
        self._failed_refresh = ""
        """Said once, though every request tries again."""
        self._on_death: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.writer: Writer | None = None
        self.speaker: Speaker | None = None
        self.has_died = False
        """Whether the thread ended without being asked to, once it had started."""

    def start(self, on_death: Callable[[], None] = lambda: None) -> None:
        """Starts the thread and waits until the model can speak, or `close` was called.

        Args:
            on_death: called in the thread when it ends later on without being asked to.

        Raises:
            UserError: when there is nothing that can speak.
        """
        self._on_death = on_death
        self._thread.start()
        self._is_ready.wait()
        if self._failure:
            self._thread.join()
            raise self._failure
        if self.speaker is None:
            raise UserError("the model was not loaded")

    def is_alive(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive() and not self._is_closed

    def is_full(self) -> bool:
        """Whether the next request would be refused."""
        return len(self._waiting) + len(self._active) >= self._limits.slots + self._limits.waiting

    def submit(self, job: Job) -> None:
        """Gives a job a place in line.

        Raises:
            Refusal: when there is none, or nobody who would answer.
        """
        with self._changed:
            if not self.is_alive():
                raise Refusal(503, ENDED)
            if self.is_full():
                raise Refusal(429, NOT_FREE, code="rate_limit_exceeded")
            self._waiting.append(job)
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """Its client has left: its place is free at once, and no more than the token under way is written."""
        job.is_cancelled = True
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def close(self) -> None:
        """Asks the thread to end; returns at once."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._is_ready.set()

    def finish(self, seconds: float) -> None:
        """Closes it as soon as all jobs are done, and not later than that."""
        until = time.monotonic() + seconds
        while (self._active or self._waiting) and time.monotonic() < until:
            time.sleep(0.02)
        self.close()

    def join(self, seconds: float) -> None:
        """Waits for the thread's end."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            if writer := self._open():
                while self._wait_for_work():
                    self._go_round(writer)
        finally:
            with self._changed:
                self.has_died = not self._is_closed and self.speaker is not None
                self._is_closed = True
                left = [*self._active, *self._waiting]
            for job in left:
                job.end(Refusal(503, ENDED))
            self._is_ready.set()
            if self.has_died:
                self._on_death()

    def _open(self) -> Writer | None:
        """Loads the model; None when that failed."""
        try:
            self.writer = self._open_writer()
            self._is_sparing = self._is_training()
            self.speaker = self.writer.refresh(is_alone=not self._is_sparing)
        except Exception as error:  # noqa: BLE001 - `start` raises it, where somebody hears it
            self._failure = (
                UserError(f"the model was not loaded: {_describe(error)}") if is_out_of_memory(error) else error
            )
            return None
        self._is_ready.set()
        return self.writer

    def _wait_for_work(self) -> bool:
        """Returns False when the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._active or self._waiting)
            return not self._is_closed

    def _go_round(self, writer: Writer) -> None:
        """A token for each job that has a slot."""
        self._is_sparing = self._is_training()
        fresh = self._fill_slots(writer)
        if fresh:
            self._refresh(writer)
        for job in fresh:
            job.step = self.speaker.step if self.speaker else 0
        for job, writing in list(self._active.items()):
            started = time.monotonic()
            if not self._advance(job, writing):
                with self._changed:
                    del self._active[job]
            self._rest(time.monotonic() - started)

    def _fill_slots(self, writer: Writer) -> list[Job]:
        """Those that have a slot only now."""
        with self._changed:
            fresh = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._free_slots()))]
            self._active |= {job: self._write(writer, job) for job in fresh}
        return fresh

    def _free_slots(self) -> int:
        return self._limits.slots - len(self._active)

    def _refresh(self, writer: Writer) -> None:
        """Takes up a new best checkpoint; one that cannot be read, or held, leaves the old one speaking."""
        before = self.speaker
        try:
            self.speaker = writer.refresh(is_alone=not self._is_sparing)
            self._failed_refresh = ""
        except Exception as error:  # noqa: BLE001 - the weights of before are whole, and answer
            if repr(error) != self._failed_refresh:
                self._log(f"the checkpoint before goes on speaking: {_describe(error)}")
            self._failed_refresh = repr(error)
        if self.speaker is not before and self.speaker and self.speaker.warning:
            self._log(self.speaker.warning)

    def _advance(self, job: Job, writing: Iterator[None]) -> bool:
        """Whether there is more to come."""
        if job.is_cancelled:
            return False
        try:
            with on_one_core() if self._is_sparing else nullcontext():
                next(writing)
        except StopIteration:
            job.end()
        except UserError as error:
            job.end(Refusal(503, str(error)))
        except Exception as error:  # noqa: BLE001 - the request fails, all others go on
            self._log("".join(traceback.format_exception(error)).rstrip())
            job.end(Refusal(503, NO_MEMORY) if is_out_of_memory(error) else Refusal(500, FAILED))
        else:
            return True
        return False

    def _rest(self, worked: float) -> None:
        if self._is_sparing:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, min(REST_FOR_WORK * worked, LONGEST_REST_SECONDS))

    def _write(self, writer: Writer, job: Job) -> Iterator[None]:
        """Writes what a job wishes for, all of it with the checkpoint of its beginning; yields after each token."""
        speaker = writer.hold()
        for wish in job.wishes:
            for piece in speaker.pieces(wish.prompt, wish.settings, lambda: job.is_cancelled):
                job.put(Part(wish.index, piece.text, piece.tokens, piece.finish))
                yield


def _describe(error: Exception) -> str:
    """A failure to load; one that nobody foresaw with its traceback."""
    if isinstance(error, UserError):
        return str(error)
    return "memory ran out" if is_out_of_memory(error) else "".join(traceback.format_exception(error)).rstrip()
