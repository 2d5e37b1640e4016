"""Who may come in: by the name the server was called by, and by the key."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from tui_trainer.deploy.server.refusal import Refusal

OPEN_PATHS = ("/health",)
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@]+)(:\d{1,5})?")


class Gate:
    """Turns away what comes by a foreign name, or without the key, before anything else looks at it."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], key: str | None) -> None:
        """Stands before an app.

        Args:
            app: what is guarded.
            hosts: the names it may be called by; localhost and any IP address are fine besides.
            key: what clients must show, or None when any may come.
        """
        self._app = app
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._key = None if key is None else key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guards one request."""
        app = self._app if scope["type"] != "http" else self._refuse(scope) or self._app
        await app(scope, receive, send)

    def _refuse(self, scope: Scope) -> ASGIApp | None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._is_own_name(hosts[0]):
            # A page whose own name was made to point at this machine sends that name.
            return Refusal(403, "not a name of this server; tui-trainer serve --allow-host adds one").response()
        if self._key is not None and scope["path"] not in OPEN_PATHS and not self._has_key(scope):
            message = "a key is needed, and this is not it: send the header Authorization: Bearer KEY"
            return Refusal(401, message, code="invalid_api_key").response()
        return None

    def _is_own_name(self, header: str) -> bool:
        match = _HOST.fullmatch(header.strip())
        if match is None:
            return False
        name = match[1].strip("[]").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._hosts
        return True

    def _has_key(self, scope: Scope) -> bool:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(shown) != 1 or self._key is None:
            return False
        scheme, _, key = shown[0].partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key)
