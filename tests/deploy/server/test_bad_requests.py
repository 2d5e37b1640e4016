"""FAULTS.md A1 to A7, A12, A13, and whatever a fuzzer thinks of: never a 500, never more memory."""

from __future__ import annotations

import gzip
import json
import socket
from http.client import HTTPConnection

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tui_trainer.deploy.server.completion_request import CompletionRequest
from tui_trainer.deploy.server.limits import Limits

MEGABYTES = 1 << 20


def test_a_body_over_a_megabyte(server):
    """A1, with its length told and without."""
    for size in (Limits().body_bytes + 1, 5 * MEGABYTES):
        answer = server.post(b'"' + b"x" * (size - 2) + b'"')
        assert answer.status == 413 and str(Limits().body_bytes) in answer.error["message"]
    connection = HTTPConnection("127.0.0.1", server.port)
    chunks = (b"x" * 65536 for _ in range(40))
    connection.request("POST", "/v1/completions", chunks, {"content-type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
    assert server.post(b" " * (Limits().body_bytes - 2) + b"{}").error["param"] == "model"


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"{",
            b"\xff\xfe",
            b"nul",
            b"\x00",
            b'{"model":"m"} x',
            b'{"prompt":"\\ud800"}',
            b"1" * 9999,
            b"[]",
            b'"m"',
        ),
        *(b"[" * 100_000, b'{"a":' * 100_000, b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        *(b'{"temperature":NaN}', b'{"x":[Infinity]}', b'{"x":-Infinity}', b'{"temperature":1e999}'),
    ],
)
def test_what_is_no_json(server, body):
    """A2 and A3."""
    answer = server.post(body)
    assert answer.status == 400 and answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("model", [None, 1, ["m"], {}, True, "m" * 300]),
        ("prompt", [1, 1.5, True, {}, [], [[]], [None], ["a", 1], [1, "a"], [True], [1.0], [[1], "a"], ["a"] * 2049]),
        ("max_tokens", [0, -1, 1.5, "9", True, []]),
        ("temperature", [-0.1, 2.1, "1", True, [], 10**400]),
        ("top_p", [0, -1, 1.1, "1", True]),
        ("n", [0, 129, -1, 1.5, "2", True, 10**20]),
        ("stop", ["", [""], 5, [5], ["a"] * 5, "x" * 257, {}, ["a"] * 100_000]),
        ("seed", [1.5, "1", True, 2**63, -(2**63) - 1]),
        ("stream", [1, "true", [], {}]),
        ("echo", [1, "true"]),
        ("stream_options", [1, [], {"include_usage": 1}, {"include_usage": True}]),
        ("logit_bias", [{str(token): 100 for token in range(50_000)}, [1], "x"]),
        ("logprobs", [5, 10**30, "x", True]),
        ("best_of", [10**9, "x", -1]),
        ("top_k", [-2, 1.5, "x"]),
        ("min_p", [-1, 2]),
        ("repetition_penalty", [0, -1, 11]),
    ],
)
def test_wrong_types_and_huge_values(server, field, values):
    """A4 to A7."""
    for value in values:
        answer = server.complete(**{field: value})
        assert answer.status == 400, value
        assert answer.error["param"] == field and field in answer.error["message"]
        assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "%2e%2e/%2e%2e", "/etc/passwd", "a\0b", "", ".", "\u202e", "x" * 256]
)
def test_the_model_is_a_key_and_no_path(server, name):
    """A12."""
    answer = server.post({"model": name, "prompt": "a"})
    assert answer.status == 404 and answer.error["code"] == "model_not_found"
    assert name == "" or name not in answer.error["message"]


@pytest.mark.parametrize("path", ["../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "a%00b", "%ff"])
def test_paths_lead_nowhere(server, path):
    for prefix in ("/v1/models/", "/v1/", "/"):
        answer = server.ask("GET", prefix + path)
        assert answer.status == 404 and answer.error


def test_a_web_page_may_not_ask(server):
    """A13: no CORS, nothing but JSON, no foreign name."""
    body = json.dumps({"model": server.model, "prompt": "a"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"):
        assert server.post(body, content_type=kind).status == 415
    assert server.post(body, content_type="Application/JSON; charset=utf-8").status == 200
    preflight = {"origin": "https://evil.example", "access_control_request_method": "POST"}
    asked = server.ask("OPTIONS", "/v1/completions", **preflight)
    assert asked.status == 405
    for answer in (asked, server.post(body, origin="https://evil.example")):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("localhost", 200), ("LOCALHOST:9", 200), ("127.0.0.1:80", 200), ("[::1]:80", 200), ("10.1.2.3", 200)),
        *(("evil.example", 403), ("evil.example:8000", 403), ("localhost.evil.example", 403), ("", 403)),
        *(("127.0.0.1.evil.example", 403), ("a@localhost", 403), ("localhost:x", 403), ("localhost, evil", 403)),
    ],
)
def test_names_of_others(server, host, status):
    for path in ("/v1/models", "/health"):
        assert server.ask("GET", path, host=host).status == status


def test_no_name_or_two(server):
    for heads in (b"GET /health HTTP/1.0\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(heads)
            assert connection.recv(999).split()[1] in (b"403", b"400")


def test_what_is_not_http_is_answered_in_the_same_shape(server):
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(b"\x16\x03\x01 not HTTP\r\n\r\n")
        with connection.makefile("rb") as reader:
            head, body = reader.read().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400") and b"application/json" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
def test_a_compressed_body_is_refused_for_that_reason(server, encoding):
    body = gzip.compress(json.dumps({"model": server.model, "prompt": "a"}).encode())
    answer = server.post(body, content_encoding=encoding)
    assert answer.status == 415 and "must not be compressed" in answer.error["message"]


def test_a_body_that_says_it_is_not_compressed(server):
    body = json.dumps({"model": server.model, "prompt": "a"}).encode()
    assert server.post(body, content_encoding="Identity").status == 200


def test_what_ordinary_clients_look_for_in_vain(server):
    for method, path, words in (
        ("POST", "/v1/chat/completions", "POST /v1/completions is there"),
        ("GET", "/v1/chat/completions", "POST /v1/completions is there"),
        ("POST", "/v1/responses", "POST /v1/completions is there"),
        ("POST", "/completions", "base URL"),
        ("GET", "/models", "base URL"),
        ("POST", "/v1/embeddings", "GET / lists"),
    ):
        answer = server.ask(method, path, b"{}" if method == "POST" else None)
        assert answer.status == 404 and words in answer.error["message"]


def test_the_root_lists_the_addresses(server):
    listed = server.ask("GET", "/").json
    assert listed == server.ask("GET", "/v1").json == server.ask("GET", "/v1/").json, "the base URL in a browser"
    assert listed["models"] == [server.model]
    for address in listed["addresses"]:
        method, path = address.split()
        assert server.ask(method, path.format(name=server.model), b"{}").status in (200, 415)


def test_unknown_addresses_and_methods(server):
    for method, path, status in (
        ("POST", "/", 405),
        ("GET", "/v1/chat/completions", 404),
        ("GET", "/v1/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/completions/", 404),
        ("BREW", "/health", 405),
    ):
        answer = server.ask(method, path)
        assert (answer.status, answer.error["type"]) == (status, "invalid_request_error")


def openapi(model: str) -> dict[str, object]:
    """What the server takes, for the fuzzer; half of its requests are of the model that is there."""
    schema = CompletionRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = schema.pop("$defs")
    texts = {"type": "string", "maxLength": 200}
    ids = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
    schema["properties"]["model"] = {"type": "string", "enum": [model]}
    schema["properties"]["prompt"] = {"anyOf": [texts, {"type": "array", "items": texts, "maxItems": 8}, ids]}
    schema["properties"]["n"] = {"type": "integer", "minimum": 1, "maximum": 4}
    schema["properties"]["max_tokens"] = {"type": "integer", "minimum": 1, "maximum": 8}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    answers = {status: {"description": ""} for status in ("200", "400", "404", "413", "415")}
    operation = {"requestBody": body, "responses": answers}
    info = {"title": "completions", "version": "1"}
    paths = {"/v1/completions": {"post": operation}}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": parts}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
FIELDS = st.dictionaries(st.sampled_from(sorted(CompletionRequest.model_fields)), JSON, max_size=8)
STATUSES = {200, 400, 404, 413, 415}


def fuzzed(examples: int):
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def test_fuzzed_requests(server, pytestconfig):
    """No 500, and no memory kept."""
    count = pytestconfig.getoption("--fuzz")
    schema = schemathesis.openapi.from_dict(openapi(server.model))
    endpoint = schema["/v1/completions"]["POST"]
    found: dict[int, int] = {}

    def note(body: bytes) -> None:
        answer = server.post(body)
        assert answer.status in STATUSES, (answer.status, body)
        assert answer.status == 200 or answer.error
        found[answer.status] = found.get(answer.status, 0) + 1

    def note_case(case: schemathesis.Case) -> None:
        note(case.body if isinstance(case.body, bytes) else json.dumps(case.body, default=str).encode())

    server.complete(max_tokens=100, n=4, prompt=["a"] * 8)
    before = server.memory_bytes()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        run = given(endpoint.as_strategy(generation_mode=mode))(note_case)
        seed(1)(fuzzed(count // 3)(run))()
    wild = st.binary(max_size=500) | JSON.map(lambda value: json.dumps(value).encode())
    wild |= FIELDS.map(lambda fields: json.dumps({"model": server.model, "max_tokens": 4, **fields}).encode())
    seed(1)(fuzzed(count - 2 * (count // 3))(given(wild)(note)))()
    assert server.memory_bytes() - before < 50 * MEGABYTES
    assert found[200] > count // 10 and found[400] > count // 10
    assert server.process.poll() is None
