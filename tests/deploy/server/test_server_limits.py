"""FAULTS.md A8 to A10: slow clients, clients that leave, and too many of them."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection

import openai
import pytest
from served import SHORT_LIMITS, Serve, Server

from tui_trainer.deploy.server.limits import Limits
from tui_trainer.runs.directory import RunDirectory

HEAD = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LONG = {"prompt": ["a"] * 8, "n": 4, "max_tokens": 512}
"""Sixteen thousand tokens: nobody waits for its end."""


@pytest.fixture(scope="module")
def hurried(serve: Serve, tiny_run: RunDirectory) -> Server:
    """Gives everybody half a second."""
    return serve(tiny_run, program=SHORT_LIMITS)


@contextmanager
def connected(server: Server, sent: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(sent)
        yield connection


def request_of(server: Server, **fields) -> bytes:
    body = json.dumps({"model": server.model, **fields}).encode()
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


def seconds_until_closed(connection: socket.socket, drip: bytes = b"") -> float:
    """Sends a little now and then until the other side is gone."""
    started = time.monotonic()
    connection.settimeout(0.05)
    while time.monotonic() < started + 10:
        try:
            if drip:
                connection.sendall(drip)
            if not connection.recv(1 << 16):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - started


def test_small_answers_come_at_once(server):
    """Nagle's algorithm and delayed acknowledgements together cost forty milliseconds an answer."""
    connection, seconds = HTTPConnection("127.0.0.1", server.port), []
    for _ in range(15):
        started = time.monotonic()
        connection.request("GET", "/health")
        connection.getresponse().read()
        seconds.append(time.monotonic() - started)
    connection.close()
    assert statistics.median(seconds) < 0.03


def test_the_times_are_those_that_were_promised():
    limits = Limits()
    assert (limits.header_seconds, limits.body_seconds, limits.write_seconds) == (10, 30, 60)
    assert (limits.body_bytes, limits.slots, limits.waiting) == (1 << 20, 2, 128)


@pytest.mark.parametrize(("sent", "drip"), [(b"", b""), (b"", b"G"), (HEAD.encode(), b"X-A: 1\r\n")])
def test_a_slow_head(hurried, sent, drip):
    """A8."""
    with connected(hurried, sent) as connection:
        assert 0.3 < seconds_until_closed(connection, drip) < 3


def test_a_slow_second_head(hurried):
    """Also on a connection that was used before."""
    with connected(hurried, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert b"200" in connection.recv(999)
        assert 0.3 < seconds_until_closed(connection, b"G") < 3


def test_a_slow_body(hurried):
    with connected(hurried, f"{HEAD}Content-Length: 1000\r\n\r\n".encode()) as connection:
        connection.sendall(b"{")
        connection.settimeout(5)
        with connection.makefile("rb") as reader:  # to the end: the connection is closed
            answer = reader.read().decode()
        assert answer.startswith("HTTP/1.1 408") and "within 0.5 seconds" in answer


def test_who_does_not_read_is_let_go(hurried):
    """Without end, the answers to requests that nobody reads would pile up; here the connection ends instead."""
    requests = 1000 * b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    unsent = b""
    with connected(hurried) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.2)
        until = time.monotonic() + 60  # some two thousand answers fill the kernel's buffers first
        with pytest.raises(ConnectionError):
            while time.monotonic() < until:
                unsent = unsent or requests
                with suppress(TimeoutError):
                    unsent = unsent[connection.send(unsent) :]
    assert hurried.ask("GET", "/health").status == 200


def test_a_client_that_leaves_frees_its_slot(server):
    """A9: streaming, waiting for the whole, and waiting in line."""
    for stream in (True, False):
        with ExitStack() as stack:
            for _ in range(Limits().slots + 3):
                stack.enter_context(connected(server, request_of(server, **LONG, stream=stream)))
            time.sleep(0.3)
            started = time.monotonic()
        assert server.complete(max_tokens=1).status == 200
        assert time.monotonic() - started < 2


async def ask_once(server: Server) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request_of(server, prompt="a", max_tokens=2))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    return int(head.split()[1]), head.lower()


async def test_two_hundred_at_once(server):
    """A10: while both slots are taken, a hundred and twenty-eight wait and all others are told to come again."""
    with ExitStack() as stack:
        for _ in range(Limits().slots):
            stack.enter_context(connected(server, request_of(server, **LONG, stream=True))).recv(100)
        asking = [asyncio.create_task(ask_once(server)) for _ in range(200)]
        while sum(task.done() for task in asking) < 200 - Limits().waiting:
            await asyncio.sleep(0.05)
        refused = [task.result() for task in asking if task.done()]
        assert {status for status, _ in refused} == {429}
        assert all(b"\r\nretry-after: 1\r\n" in head for _, head in refused)
        with pytest.raises(openai.RateLimitError) as caught:
            server.client().completions.create(model=server.model, prompt="a")
        assert caught.value.code == "rate_limit_exceeded"
        assert server.ask("GET", "/health").status == 200
    statuses = [status for status, _ in await asyncio.gather(*asking)]
    assert statuses.count(200) == Limits().waiting


def test_memory_while_many_send_much(server):
    """Bodies that are being read hold eight megabytes together, however many they are."""
    before = server.memory_bytes()
    with ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(connected(server, f"{HEAD}Content-Length: 1000000\r\n\r\n".encode()))
            connection.settimeout(1)
            try:
                connection.sendall(b" " * 900_000)
            except OSError:  # one too many
                continue
        time.sleep(0.5)
        assert server.memory_bytes() - before < 50 << 20
    assert server.complete().status == 200
