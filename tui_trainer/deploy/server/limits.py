"""How much a client may ask of the server, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Whatever is over one of these is refused in words, or the connection ends."""

    body_bytes: int = 1 << 20
    bodies_bytes: int = 8 << 20
    """Of all bodies that are being read at the same time."""
    slots: int = 2
    """Requests that are answered at the same time, a token each in turn."""
    waiting: int = 128
    """Requests that wait for a slot, as a hundred tasks of one client send them; one more is told to come again."""
    connections: int = 1000
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 60.0
    """How long a client may leave unread what was sent to it."""


MAX_TEXTS = 2048
"""In one request, prompts times choices; they are written one after the other."""
MAX_CHOICES = 128
MAX_STOPS = 4
CONTEXTS_PER_ANSWER = 4
"""However large `max_tokens` is, a text ends after this many times the context length."""
