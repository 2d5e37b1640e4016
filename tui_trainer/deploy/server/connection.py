"""uvicorn as it is needed here: quiet, and with connections that do not wait for ever for a head or a reader."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from tui_trainer.deploy.server.limits import Limits
from tui_trainer.deploy.server.refusal import Refusal


def make_server(app: ASGIApp, limits: Limits, log: logging.Handler, ending_seconds: int) -> uvicorn.Server:
    """A server that is ready to run on a socket.

    Args:
        app: what answers.
        limits: on time and connections.
        log: where uvicorn's warnings go.
        ending_seconds: how long it waits for answers under way when it is to end.
    """
    logger = logging.getLogger("uvicorn.error")
    logger.handlers, logger.propagate = [log], False
    config = uvicorn.Config(
        app,
        http=connection_with(limits, ending_seconds / 2),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=ending_seconds,
    )
    return _Server(config)


class _Server(uvicorn.Server):
    """Signals are somebody else's: one that both hear would count twice, and twice means at once."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def connection_with(limits: Limits, ending_seconds: float) -> type[asyncio.Protocol]:
    """A connection of uvicorn's that keeps to limits on time; it has none of its own for these.

    Args:
        limits: while the server goes on.
        ending_seconds: how long a client may leave unread what was sent to it, once the server is to end.
    """
    ending = ending_seconds

    class Connection(_ImpatientConnection):
        header_seconds = limits.header_seconds
        write_seconds = limits.write_seconds
        ending_seconds = ending

    return Connection


class _ImpatientConnection(H11Protocol):
    header_seconds: float
    write_seconds: float
    ending_seconds: float
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # With no room above the kernel's own buffer, "writing is paused" means that the client does not read.
        transport.set_write_buffer_limits(high=0)
        self._expect_head()

    def send_400_response(self, msg: str) -> None:
        """In OpenAI's shape as all other refusals; uvicorn's is plain text."""
        body = json.dumps(Refusal(400, msg).body()).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()
        else:
            self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer:
            self._write_timer.cancel()
        self._write_timer = None
        super().resume_writing()

    def shutdown(self) -> None:
        """The server is to end; whoever does not read would hold it up."""
        super().shutdown()
        self.write_seconds = self.ending_seconds
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)  # resumes writing, too

    def _stop_waiting(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
        self._head_timer = None

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None until the first request
        return cycle is not None and not cycle.response_complete

    def _expect_head(self) -> None:
        """The time runs from the first byte of a head, or from the beginning, to its last."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_seconds, self.transport.abort)
