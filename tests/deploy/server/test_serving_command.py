"""`tui-trainer serve`: how it starts, what it follows, how it ends, and A14, an engine that died."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from served import Serve
from tiny_runs import new, tiny_config, write_text

from tui_trainer.cli.exporting import export
from tui_trainer.cli.serving import find_source
from tui_trainer.cli.serving import serve as serve_here
from tui_trainer.config import to_toml
from tui_trainer.data.tokenizers import ByteTokenizer
from tui_trainer.errors import UserError
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.launch import launch

FRAGILE = """
import sys, pathlib
from tui_trainer.inference.generator import TextGenerator
write = TextGenerator.pieces
def pieces(self, prompt, *rest, **named):
    if prompt == "die":
        raise SystemExit
    if prompt == "fail":
        raise ZeroDivisionError("\\x1b[2J" "oh")
    if prompt == "memory":
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    return write(self, prompt, *rest, **named)
TextGenerator.pieces = pieces
from tui_trainer.cli import main
main()
"""
"""The program with a model that can be told to fail."""


def wait_until(is_true, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_greeting_is_a_curl_that_works(server):
    assert "step 4 answers at http://127.0.0.1:" in server.greeting
    command = server.greeting.splitlines()[1]
    answer = subprocess.run(f"{command} -s", shell=True, capture_output=True, text=True, timeout=30)
    assert json.loads(answer.stdout)["choices"][0]["text"]


def test_the_access_log_is_one_harmless_line_each(server):
    server.ask("GET", "/%1b%5d52;c;x%07%0a%e2%80%aeend")
    wait_until(lambda: "52;c;x" in server.log.read_text())
    (line,) = [line for line in server.log.read_text().splitlines() if "52;c;x" in line]
    assert "127.0.0.1  GET /␛]52;c;x␇⏎\\u202eend  404" in line
    assert "\x1b" not in server.log.read_text()


def test_lasting_names(serve: Serve, tiny_run):
    """As with vLLM's --served-model-name: the names that are given, in their order, and no other."""
    server = serve(tiny_run, "--name", "novel", "--name", "org/novel:1", "--name", "novel")
    assert ", step 4 answers as novel, org/novel:1 at http" in server.greeting
    with server.client() as client:
        assert [model.id for model in client.models.list().data] == ["novel", "org/novel:1"]
        for name in ("novel", "org/novel:1"):
            assert client.models.retrieve(name).id == name
            assert client.completions.create(model=name, prompt="a", max_tokens=1).model == name
    assert server.post({"model": tiny_run.run_id, "prompt": "a"}).error["code"] == "model_not_found"
    command = server.greeting.splitlines()[1]
    answer = subprocess.run(f"{command} -s", shell=True, capture_output=True, text=True, timeout=30)
    assert json.loads(answer.stdout)["model"] == "novel"
    assert server.end() == 130


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "x" * 257])
def test_names_that_no_client_could_use(tiny_run, name):
    with pytest.raises(UserError, match="--name"):
        find_source(str(tiny_run.path), [name])


def test_a_missing_package_is_installed_as_the_readme_says(monkeypatch, tiny_run):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match="serving needs the uvicorn package") as caught:
        serve_here(str(tiny_run.path), "127.0.0.1", 0, None, [])
    command = str(caught.value).split("folder: ")[1]
    assert f"\n{command} " in (Path(__file__).parents[3] / "README.md").read_text()


def test_it_ends_in_order_while_somebody_listens(serve: Serve, tiny_run):
    server = serve(tiny_run)
    body = json.dumps({"model": server.model, "prompt": ["a"] * 8, "n": 4, "max_tokens": 512, "stream": True}).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with (
        socket.create_connection(("127.0.0.1", server.port), 20) as stream,
        socket.create_connection(("127.0.0.1", server.port), 20),
    ):
        stream.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        stream.recv(100)
        started = time.monotonic()
        assert server.end() == 130
    assert time.monotonic() - started < 5
    assert "Traceback" not in server.log.read_text() and "left" not in server.log.read_text()


def test_a_request_that_fails_costs_no_other(serve: Serve, tiny_run):
    """A14. Also when torch runs out of memory, for which it has no exception of its own."""
    server = serve(tiny_run, program=FRAGILE)
    for number in range(1000):
        if number == 500:
            answer = server.complete(prompt="fail", max_tokens=1)
            assert answer.status == 500 and answer.error["type"] == "server_error"
            answer = server.complete(prompt="memory", max_tokens=1)
            assert answer.status == 503 and "memory ran out" in answer.error["message"]
        assert server.complete(max_tokens=1).status == 200
    wait_until(lambda: "you tried to allocate" in server.log.read_text())
    log = server.log.read_text()
    assert log.count("ZeroDivisionError: ␛[2Joh") == 1 and log.count("Traceback") == 2
    assert server.complete(prompt="fail", stream=True).content.count(b"server_error") == 1
    assert server.ask("GET", "/health").json == {"status": "ok"}
    assert server.end(signal.SIGTERM) == 143


def test_a_dead_engine_ends_the_server(serve: Serve, tiny_run):
    """Rather than leave a port that answers nothing but 503."""
    server = serve(tiny_run, program=FRAGILE)
    assert server.complete(prompt="die").status == 503
    assert server.process.wait(20) == 1
    assert "the engine has ended, and the server with it" in server.log.read_text()


def test_a_run_that_still_trains(serve: Serve, tmp_path):
    """New best checkpoints answer, and no request is dropped when they come."""
    run = RunDirectory(tmp_path / "run")
    training = {"max_steps": 1_000_000, "eval_interval": 10, "checkpoint_interval": 10, "learning_rate": 1e-4}
    handle = launch(new(tiny_config(write_text(tmp_path), training=training), run))
    try:
        wait_until(lambda: (run.checkpoints / "best.json").exists())
        server = serve(run)
        seen: set[str] = set()
        until = time.monotonic() + 20
        while len(seen) < 3 and time.monotonic() < until:
            answer = server.complete(max_tokens=3)
            assert answer.status == 200, answer.content
            seen.add(answer.json["system_fingerprint"])
        assert len(seen) >= 3 and handle.is_alive()
    finally:
        handle.stop()
        handle.join(30)
    assert server.end() == 130
    assert (handle.exit_code, handle.failure) == (0, None)


def test_what_cannot_be_served(tmp_path, tiny_run):
    (tmp_path / "folder").mkdir()
    for name, words in (("no-such-run", "no such run"), (str(tmp_path / "folder"), "neither a run nor a model")):
        with pytest.raises(UserError, match=words):
            serve_here(name, "127.0.0.1", 0, None, [])
    fresh = RunDirectory(tmp_path / "fresh")
    fresh.checkpoints.mkdir(parents=True)
    fresh.manifest.write_text("{}")
    fresh.config_file.write_text(to_toml(tiny_config(tmp_path / "text")))
    ByteTokenizer().save(fresh.tokenizer)
    with pytest.raises(UserError, match="no checkpoint yet") as caught:
        serve_here(str(fresh.path), "127.0.0.1", 0, None, [])
    assert len(str(caught.value).splitlines()) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name == "engine"]


def test_mistakes_are_said_before_anything_slow(tiny_run):
    """Exit code 2, at most three lines, and torch was never imported."""
    command = [sys.executable, "-X", "importtime", "-m", "tui_trainer", "serve", str(tiny_run.path)]
    done = subprocess.run([*command, "--host", "0.0.0.0"], capture_output=True, text=True, timeout=30)
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 2 and "needs a key" in said[0] and len(said) <= 3
    assert " torch\n" not in done.stderr


@pytest.mark.parametrize(("format_", "reader"), [("onnx", "onnxruntime"), ("gguf", "llama.cpp")])
@pytest.mark.parametrize("has_config", [True, False])
def test_an_export_for_others_is_none(tmp_path: Path, format_: str, reader: str, has_config: bool):
    (tmp_path / "export.json").write_text(json.dumps({"format": format_}))
    if has_config:
        (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=f"an export for {reader}; name its run"):
        find_source(str(tmp_path))


def test_an_export_is_a_source(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    source = find_source(str(tmp_path))
    assert source.place == tmp_path and source.name == tmp_path.name


def test_an_exported_folder_answers_as_the_run_does(serve: Serve, server, tiny_run, tmp_path: Path):
    export(str(tiny_run.path), "safetensors", tmp_path / "little-model", None, "best")
    exported = serve(RunDirectory(tmp_path / "little-model"))
    assert exported.greeting.startswith("little-model answers at")
    listed = exported.ask("GET", "/v1/models").json["data"]
    assert [model["id"] for model in listed] == ["little-model"]
    texts = [
        each.post({"model": name, "prompt": "abc", "temperature": 0}).json["choices"]
        for each, name in ((server, server.model), (exported, "little-model"))
    ]
    assert texts[0] == texts[1]
    assert exported.end() == 130
