"""A server in a process of its own, as a test asks it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import psutil

CONTEXT = 128
SHORT_LIMITS = (
    "import tui_trainer.deploy.server.limits as it; from functools import partial; "
    "it.Limits = partial(it.Limits, header_seconds=0.5, body_seconds=0.5, write_seconds=0.5); "
    "from tui_trainer.cli import main; main()"
)
"""The program with less patience, so that a test need not have more."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        """OpenAI's shape, held to."""
        (error,) = self.json.values()
        assert sorted(error) == ["code", "message", "param", "type"]
        assert error["message"] and error["type"]
        return error


@dataclass
class Server:
    """A `tui-trainer serve` that is ready."""

    process: subprocess.Popen[str]
    greeting: str
    log: Path
    key: str | None = None

    @property
    def port(self) -> int:
        match = re.search(r"http://127\.0\.0\.1:(\d+)", self.greeting)
        assert match, self.greeting
        return int(match[1])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def model(self) -> str:
        return self.greeting.split(",")[0]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request on a connection of its own; underscores in names of headers stand for hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            given.setdefault("authorization", f"Bearer {self.key}")
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, content: Any, **headers: str) -> Answer:
        """A completion, from bytes or from what becomes JSON."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.ask("POST", "/v1/completions", body, **{"content_type": "application/json", **headers})

    def complete(self, **fields: Any) -> Answer:
        return self.post({"model": self.model, "prompt": "ab", **fields})

    def client(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.base_url, api_key=self.key or "none", max_retries=0, **options)

    def memory_bytes(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(20)


Serve = Callable[..., Server]
