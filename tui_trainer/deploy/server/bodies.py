"""Reads what clients send, up to a size and a time."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from tui_trainer.deploy.server.limits import Limits
from tui_trainer.deploy.server.refusal import Refusal

DRAINED_BODIES = 16
"""So many times the size limit is read and thrown away: a client that still sends would not hear the refusal."""


class BodyReader:
    """Knows how much of all bodies is held at the moment."""

    def __init__(self, limits: Limits) -> None:
        """Holds nothing yet."""
        self._limits = limits
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """The whole body of a request that says it is JSON.

        Raises:
            Refusal: when it is something else, compressed, too long, too slow, or one too many.
            starlette.requests.ClientDisconnect: when the client left meanwhile.
        """
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":  # a form or plain text is what a foreign web page can send without being asked
            raise Refusal(415, "the body must be JSON, with content-type: application/json")
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Refusal(415, "the body must not be compressed: send it without the header content-encoding")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                await self._fill(body, request)
        except TimeoutError as error:
            seconds = f"{self._limits.body_seconds:g}"
            raise Refusal(408, f"the body did not come within {seconds} seconds") from error
        finally:
            self._held -= len(body)
        return bytes(body)

    async def _fill(self, body: bytearray, request: Request) -> None:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if received <= self._limits.body_bytes:
                if self._held + len(chunk) > self._limits.bodies_bytes:
                    raise Refusal(429, "too much is being sent at once; come again in a moment")
                body += chunk
                self._held += len(chunk)
            if received > DRAINED_BODIES * self._limits.body_bytes:
                break
        if received > self._limits.body_bytes:
            raise Refusal(413, f"the body has more than {self._limits.body_bytes} bytes")
