"""What the real `openai` client gets."""

from __future__ import annotations

import asyncio
import time

import httpx2
import openai
import pytest
import requests
from served import CONTEXT


def test_models_are_listed_and_shown(server):
    with server.client() as client:
        (listed,) = client.models.list().data
        assert (listed.id, listed.object, listed.owned_by) == (server.model, "model", "tui-trainer")
        assert 0 <= time.time() - listed.created < 600
        assert client.models.retrieve(server.model) == listed
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("gpt-4")
    assert caught.value.code == "model_not_found"


def test_a_completion(server):
    with server.client() as client:
        completion = client.completions.create(model=server.model, prompt="abc", max_tokens=9)
    (choice,) = completion.choices
    assert completion.object == "text_completion" and completion.id.startswith("cmpl-")
    assert completion.model == server.model and completion.system_fingerprint == "step-4"
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "length", None)
    assert 1 <= len(choice.text) <= 9
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 9, 12)


def test_a_stream_is_the_completion_in_pieces(server):
    wanted = {"model": server.model, "prompt": "abc", "max_tokens": 40, "seed": 5}
    with server.client() as client:
        whole = client.completions.create(**wanted)
        chunks = list(client.completions.create(**wanted, stream=True, stream_options={"include_usage": True}))
    *pieces, last = chunks
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text
    assert [piece.choices[0].finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["length"]
    assert len({piece.id for piece in chunks}) == 1 and len(pieces) > 5
    assert last.choices == [] and last.usage == whole.usage
    with server.client() as client:
        assert all(piece.usage is None for piece in client.completions.create(**wanted, stream=True))


def test_a_stream_ends_as_openai_ends_it(server):
    answer = server.complete(stream=True, max_tokens=3)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content.endswith(b"\n\ndata: [DONE]\n\n") and b'"usage"' not in answer.content


def test_several_prompts_and_choices(server):
    answer = server.complete(prompt=["a", "b", "c"], n=4, max_tokens=5, temperature=2)
    choices = answer.json["choices"]
    assert [choice["index"] for choice in choices] == list(range(12))
    assert answer.json["usage"] == {"prompt_tokens": 3, "completion_tokens": 60, "total_tokens": 63}
    assert len({choice["text"] for choice in choices}) > 6
    streamed = server.client().completions.create(model=server.model, prompt=["a", "b"], n=2, max_tokens=3, stream=True)
    finished = [chunk.choices[0].index for chunk in streamed if chunk.choices[0].finish_reason]
    assert finished == [0, 1, 2, 3]


def test_many_choices(server):
    answer = server.complete(prompt=["a"] * 16, n=128, best_of=128, max_tokens=1)
    assert len(answer.json["choices"]) == 2048
    assert server.complete(prompt=["a"] * 17, n=128, max_tokens=1).error["param"] == "n"


def test_the_same_seed_gives_the_same_text(server):
    texts = [server.complete(seed=seed, n=2).json["choices"] for seed in (7, 7, 8, -7)]
    assert texts[0] == texts[1]
    assert texts[0][0]["text"] != texts[0][1]["text"], "each choice has a seed of its own"
    assert len({choices[0]["text"] for choices in texts}) == 3


def test_temperature_0_and_a_stop(server):
    (choice,) = server.complete(temperature=0, max_tokens=20).json["choices"]
    stop = choice["text"][5]
    (cut,) = server.complete(temperature=0, max_tokens=20, stop=stop).json["choices"]
    assert cut["finish_reason"] == "stop"
    assert choice["text"].startswith(cut["text"]) and stop not in cut["text"] and len(cut["text"]) <= 5
    streamed = server.complete(temperature=0, max_tokens=20, stop=[stop, "zzzz"], stream=True).content
    assert b'"finish_reason":"stop"' in streamed


def test_echo_repeats_the_prompt(server):
    assert server.complete(prompt="abc", echo=True).json["choices"][0]["text"].startswith("abc")
    assert server.complete(prompt="abc", echo=True).json["usage"]["completion_tokens"] == 16
    first = server.complete(prompt="abc", echo=True, stream=True, max_tokens=4).content.decode().count("abc")
    assert first == 1


def test_token_ids(server):
    as_ids = server.complete(prompt=list(b"abc"), seed=1).json
    as_text = server.complete(prompt="abc", seed=1).json
    assert as_ids["choices"] == as_text["choices"] and as_ids["usage"] == as_text["usage"]
    assert len(server.complete(prompt=[[97], [98, 99]]).json["choices"]) == 2
    for ids in ([256], [-1], [10**30]):
        assert server.complete(prompt=ids).error["param"] == "prompt"


def test_the_empty_prompt(server):
    for prompt in ("", None, "\n"):
        assert server.complete(prompt=prompt).json["usage"]["prompt_tokens"] == 1


def test_a_prompt_that_does_not_fit(server):
    assert server.complete(prompt="x" * CONTEXT, max_tokens=1).status == 200
    for prompt in ("x" * (CONTEXT + 1), "한" * (CONTEXT // 2), [97] * 1000, ["a", "x" * 900_000]):
        answer = server.complete(prompt=prompt)
        assert answer.status == 400 and answer.error["code"] == "context_length_exceeded"
        assert f"{CONTEXT} tokens" in answer.error["message"]


@pytest.mark.parametrize("most", [4 * CONTEXT, 4 * CONTEXT + 1, 10**9, 10**30])
def test_more_tokens_than_it_writes(server, most):
    """A client that wants "as much as there is" gets as much as there is."""
    answer = server.complete(max_tokens=most, temperature=0).json
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 4 * CONTEXT


def test_top_k_minus_one_means_all(server):
    texts = [server.complete(top_k=top_k, seed=1, temperature=2).json["choices"] for top_k in (-1, 0, None)]
    assert texts[0] == texts[1] == texts[2]


def test_a_thousand_prompts_in_one_list(server):
    """They are written one after the other, and meanwhile others are answered."""
    prompts = [f"{number}:" for number in range(1000)]
    with server.client() as client:
        stream = client.completions.create(model=server.model, prompt=prompts, max_tokens=2, echo=True, stream=True)
        texts = [""] * 1000
        for number, chunk in enumerate(stream):
            if number % 500 == 0:
                assert server.complete(max_tokens=1).status == 200
            texts[chunk.choices[0].index] += chunk.choices[0].text
        assert all(map(str.startswith, texts, prompts))
        whole = client.completions.create(model=server.model, prompt=prompts[:20], max_tokens=2, n=2)
    assert [choice.index for choice in whole.choices] == list(range(40)) and whole.usage.completion_tokens == 80


@pytest.mark.parametrize("write_json", [requests.post, httpx2.post])
def test_plain_http_clients(server, write_json):
    answer = write_json(f"{server.base_url}/completions", json={"model": server.model, "prompt": "a"}, timeout=30)
    assert answer.status_code == 200 and answer.json()["choices"][0]["text"]


def test_unknown_fields_are_let_pass(server):
    assert server.complete(metadata={"a": [1, None]}, user="me", top_k=5, min_p=0.1).status == 200
    nothing = dict.fromkeys(("n", "stop", "echo", "seed", "logprobs", "logit_bias", "best_of", "suffix", "top_p"))
    assert server.complete(**nothing).status == 200


@pytest.mark.parametrize(
    "field",
    [{"logprobs": 0}, {"logit_bias": {"5": 1}}, {"best_of": 3}, {"suffix": "x"}, {"presence_penalty": 0.5}],
)
def test_what_it_cannot_do_is_said(server, field):
    answer = server.complete(**field)
    assert answer.status == 400 and answer.error["param"] in field


async def test_a_hundred_streams_at_once(server):
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:

        async def read(number: int) -> str:
            stream = await client.completions.create(
                model=server.model, prompt="ab", max_tokens=64, stream=True, seed=number
            )
            return "".join([chunk.choices[0].text async for chunk in stream])

        texts = await asyncio.gather(*(read(number) for number in range(100)))
    assert len(set(texts)) == 100 and min(map(len, texts)) > 20
