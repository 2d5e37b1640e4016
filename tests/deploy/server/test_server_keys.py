"""FAULTS.md A11: who may come in, and where a key may come from."""

from __future__ import annotations

import os
import socket

import openai
import psutil
import pytest
from served import Serve, Server

from tui_trainer.deploy.server.address import open_socket, read_key, url_of
from tui_trainer.errors import UserError
from tui_trainer.runs.directory import RunDirectory

KEY = "sesame-42"


@pytest.fixture(scope="module")
def guarded(serve: Serve, tiny_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Open to all machines, behind a key from a file."""
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_text(f"{KEY}\n")
    server = serve(tiny_run, "--host", "0.0.0.0", "--allow-host", "gpt.example", "--api-key-file", str(file))
    server.key = KEY
    return server


def test_with_the_key(guarded):
    with guarded.client() as client:
        assert client.models.list().data[0].id == guarded.model
        assert client.completions.create(model=guarded.model, prompt="a").choices[0].text
    assert guarded.ask("GET", "/v1/models", authorization=f"bearer  {KEY} ").status == 200


def test_without_the_key_or_with_another(guarded):
    wrong = [
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        "Bearer \xe9\xff",
        "x" * 9999,
    ]
    for shown in wrong:
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions"), ("GET", "/"), ("GET", "//health")):
            answer = guarded.ask(method, path, authorization=shown)
            assert answer.status == 401 and answer.error["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"] == "Bearer" and KEY not in answer.content.decode()
    assert guarded.ask("GET", "/health", authorization="").status == 200
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=guarded.base_url, api_key="guess", max_retries=0).models.list()


def test_names_it_may_be_called_by(guarded):
    assert guarded.ask("GET", "/v1/models", host="GPT.example:8000").status == 200
    assert guarded.ask("GET", "/v1/models", host="evil.example").status == 403


def test_the_key_is_never_to_be_seen(guarded):
    process = psutil.Process(guarded.process.pid)
    assert KEY not in " ".join(process.cmdline()) + guarded.greeting + guarded.log.read_text()
    assert "$TUI_TRAINER_API_KEY" in guarded.greeting


def test_where_a_key_comes_from(tmp_path):
    file = tmp_path / "key"
    file.write_text(f"  {KEY}\r\n")
    environ = {"TUI_TRAINER_API_KEY": "other"}
    assert read_key(file, environ) == KEY
    assert read_key(None, environ) == "other"
    assert read_key(None, {}) is None and read_key(None, {"TUI_TRAINER_API_KEY": ""}) is None


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"two\nlines", b"\xff\xfe", b"a\0b", b"x" * 5000])
def test_what_is_no_key(tmp_path, content):
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(UserError, match="key") as caught:
        read_key(file, {})
    assert "two" not in str(caught.value).replace(str(tmp_path), "")


def test_key_files_that_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", "", "fifo", "a\0b", "n" * 300):
        with pytest.raises(UserError, match="--api-key-file"):
            read_key(tmp_path / name, {})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_others_need_a_key(host):
    with pytest.raises(UserError, match="needs a key") as caught:
        open_socket(host, 0, has_key=False)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8", "::1"])
def test_this_machine_alone_needs_none(host):
    try:
        with open_socket(host, 0, has_key=False) as listener:
            assert url_of(listener).startswith(("http://127.", "http://[::1]:"))
    except UserError as error:
        assert host == "::1", error  # a machine without version 6
        pytest.skip("no ::1 here")


def test_hosts_and_ports_that_are_not_there():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: in use"):
            open_socket("127.0.0.1", port, has_key=False)
    with pytest.raises(UserError, match="not an address of this machine"):
        open_socket("192.0.2.1", 0, has_key=True)
    for host in ("", "no such host", "x" * 300, "a\0b", "ü" * 70, "999.1.1.1"):
        with pytest.raises(UserError, match="no such host"):
            open_socket(host, 0, has_key=True)
