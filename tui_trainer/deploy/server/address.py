"""Where the server listens, and what key it asks for: settled before anything slow begins."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tui_trainer.errors import UserError

KEY_VARIABLE = "TUI_TRAINER_API_KEY"
MOST_KEY_BYTES = 4096
BACKLOG = 512
SEND_BUFFER_BYTES = 128 << 10
"""What the kernel keeps of the answers that a client has not read; left to itself it keeps megabytes for each."""


def open_socket(host: str, port: int, *, has_key: bool) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: when the port is taken or not allowed, the host is none of this machine's, or others could
            come in without a key.
    """
    family, address = _resolve(host, port)
    if not (has_key or ipaddress.ip_address(str(address[0]).split("%")[0]).is_loopback):
        raise UserError(
            f"--host {host}: others could use the model, so it needs a key that clients must show\n"
            f"write one into a file and give --api-key-file FILE, or set {KEY_VARIABLE}"
        )
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # every connection inherits it
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(_why_not(host, port, error)) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """How a client on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_key(file: Path | None, environ: Mapping[str, str]) -> str | None:
    """The key that clients must show, from a file or else the environment; never from an argument, which `ps` shows.

    Raises:
        UserError: when the file cannot be read or what it holds cannot be a key.
    """
    if file is None:
        return _checked(environ[KEY_VARIABLE].strip(), KEY_VARIABLE) if environ.get(KEY_VARIABLE) else None
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UserError(f"--api-key-file {file}: not a regular file")
        with file.open("rb") as opened:
            content = opened.read(MOST_KEY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"--api-key-file {file}: {getattr(error, 'strerror', None) or 'no file name'}") from error
    if len(content) > MOST_KEY_BYTES:
        raise UserError(f"--api-key-file {file}: longer than {MOST_KEY_BYTES} bytes; it holds nothing but the key")
    return _checked(content.decode("latin-1").strip(), f"--api-key-file {file}")


def _checked(key: str, where: str) -> str:
    if not key:
        raise UserError(f"{where}: empty; it must hold the key")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UserError(f"{where}: a key is one line of letters, digits and signs, without spaces")
    return key


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """The address to listen at; of several, one of version 4, which every client tries."""
    try:
        found = socket.getaddrinfo(host or "?", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, ValueError) as error:
        raise UserError(f"--host {host}: no such host; 127.0.0.1 is this machine alone") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, address = found[0]
    return family, address


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--port {port}: in use; end what listens there, or choose another: --port {port % 65535 + 1}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: not an address of this machine; 127.0.0.1 is this machine alone"
    return f"--host {host} --port {port}: {os.strerror(error.errno or 0)}"
