"""One line for each request, for whoever looks at the terminal."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from datetime import datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tui_trainer.monitor.safe_text import safe_line, safe_text

KEPT_LINES = 1000
LONGEST_PATH = 200


class LogLines(logging.Handler):
    """Lines on standard error, written by a thread: nobody waits for a terminal that stands still.

    What does not fit while it stands still is lost. It is also where uvicorn's warnings go.
    """

    def __init__(self) -> None:
        """Starts the thread."""
        super().__init__(logging.WARNING)
        self._lines: queue.Queue[str] = queue.Queue(KEPT_LINES)
        threading.Thread(target=self._write, name="access log", daemon=True).start()

    def say(self, text: str) -> None:
        """Shows foreign text, and never obeys it."""
        try:
            self._lines.put_nowait(safe_text(text) + "\n")
        except queue.Full:
            return

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a warning, with its traceback if it has one."""
        self.say(self.format(record))

    def drain(self, seconds: float) -> None:
        """Waits until everything is written, but not for long."""
        until = time.monotonic() + seconds
        while self._lines.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.01)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            try:
                sys.stderr.write(line)
                sys.stderr.flush()
            except (OSError, ValueError):  # nobody reads, or it is closed: the server goes on
                pass
            finally:
                self._lines.task_done()


class AccessLog:
    """Notes what was asked, by whom, what came of it and how long it took."""

    def __init__(self, app: ASGIApp, *, log: LogLines) -> None:
        """Stands before an app."""
        self._app, self._log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and notes it when it is over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 0, time.monotonic()

        async def watch(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            self._log.say(_line(scope, status, time.monotonic() - started))


def _line(scope: Scope, status: int, seconds: float) -> str:
    client = (scope.get("client") or ["?"])[0]
    path = safe_line(scope["path"][:LONGEST_PATH])
    return f"{datetime.now():%H:%M:%S}  {client}  {scope['method']} {path}  {status or 'left'}  {seconds:.2f} s"
