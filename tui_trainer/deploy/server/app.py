"""The routes: /v1/models, /v1/completions, /health, and / that lists them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tui_trainer.deploy.server.access_log import AccessLog, LogLines
from tui_trainer.deploy.server.answers import DONE, Answer, event
from tui_trainer.deploy.server.bodies import BodyReader
from tui_trainer.deploy.server.completion_request import CompletionRequest, read_request
from tui_trainer.deploy.server.engine import NOT_FREE, Engine
from tui_trainer.deploy.server.gate import Gate
from tui_trainer.deploy.server.job import Job, Wish
from tui_trainer.deploy.server.limits import CONTEXTS_PER_ANSWER, MAX_TEXTS, Limits
from tui_trainer.deploy.server.prompts import ReadPrompt, read_prompt
from tui_trainer.deploy.server.refusal import Refusal, refuse
from tui_trainer.errors import UserError
from tui_trainer.inference.settings import SamplingSettings

OPENAI_MAX_TOKENS = 16
"""What OpenAI writes when nobody says how much."""

ADDRESSES = {
    "POST /v1/completions": "goes on from a text, as OpenAI's completions do",
    "GET /v1/models": "the names of what can be asked",
    "GET /v1/models/{name}": "one of them",
    "GET /health": "whether requests are answered",
}

Result = TypeVar("Result")


@dataclass(frozen=True)
class ServedModel:
    """A model under the name that clients know it by."""

    name: str
    created: int
    """Unix seconds."""
    engine: Engine


def make_app(
    models: Sequence[ServedModel], limits: Limits, hosts: Collection[str], key: str | None, log: LogLines
) -> Starlette:
    """The whole server but its sockets."""
    desk = _Desk({model.name: model for model in models}, limits)
    app = Starlette(
        routes=[
            *(Route(path, desk.list_addresses, methods=["GET"]) for path in ("/", "/v1", "/v1/")),
            Route("/health", desk.health, methods=["GET"]),
            Route("/v1/models", desk.list_models, methods=["GET"]),
            Route("/v1/models/{name:path}", desk.show_model, methods=["GET"]),
            Route("/v1/completions", desk.complete, methods=["POST"]),
        ],
        middleware=[Middleware(AccessLog, log=log), Middleware(Gate, hosts=hosts, key=key)],
        exception_handlers={HTTPException: refuse, Refusal: refuse, Exception: refuse},
    )
    app.router.redirect_slashes = False  # a redirect would repeat whatever name the client called us by
    return app


class _Desk:
    """Takes requests in and hands answers out."""

    def __init__(self, models: dict[str, ServedModel], limits: Limits) -> None:
        self._models = models
        self._bodies = BodyReader(limits)

    async def list_addresses(self, request: Request) -> Response:
        return JSONResponse({"models": list(self._models), "addresses": ADDRESSES})

    async def health(self, request: Request) -> Response:
        is_well = all(model.engine.is_alive() for model in self._models.values())
        return JSONResponse({"status": "ok" if is_well else "dead"}, 200 if is_well else 503)

    async def list_models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_describe(model) for model in self._models.values()]})

    async def show_model(self, request: Request) -> Response:
        return JSONResponse(_describe(self._find(request.path_params["name"])))

    async def complete(self, request: Request) -> Response:
        if all(model.engine.is_full() for model in self._models.values()):
            raise Refusal(429, NOT_FREE, code="rate_limit_exceeded")  # before its body takes room
        try:
            wanted = read_request(await self._bodies.read(request))
            model = self._find(wanted.model)
            answer = _take_in(wanted, model)
            if wanted.stream:
                return EventStream(_stream(answer, wants_usage=wanted.wants_usage), answer.job, model.engine)
            return await _answer_whole(request, answer, model.engine)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it; the log shows it

    def _find(self, name: str) -> ServedModel:
        """A name is a key and never a path."""
        if name not in self._models:
            raise Refusal(
                404, "there is no such model; GET /v1/models lists them", param="model", code="model_not_found"
            )
        return self._models[name]


class EventStream(StreamingResponse):
    """Server-sent events about a job, which ends with whoever listens."""

    def __init__(self, events: AsyncIterator[str], job: Job, engine: Engine) -> None:
        """Streams events."""
        super().__init__(events, media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._job, self._engine = job, engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the end, or until the client leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._engine.cancel(self._job)


def _describe(model: ServedModel) -> dict[str, object]:
    return {"id": model.name, "object": "model", "created": model.created, "owned_by": "tui-trainer"}


def _take_in(wanted: CompletionRequest, model: ServedModel) -> Answer:
    """Gives the request its place in line.

    Raises:
        Refusal: when it cannot be met, or there is no place.
    """
    writer = model.engine.writer
    assert writer is not None  # the server opens its doors when the engine is ready
    if len(wanted.prompts()) * wanted.choices > MAX_TEXTS:
        raise Refusal(400, f"n: at most {MAX_TEXTS} texts in one request, prompts times n", param="n")
    prompts = [read_prompt(prompt, writer.tokenizer, writer.context_length) for prompt in wanted.prompts()]
    job = Job(_wishes(wanted, prompts, CONTEXTS_PER_ANSWER * writer.context_length))
    echoes = [prompt.text if wanted.echo else "" for prompt in prompts for _ in range(wanted.choices)]
    model.engine.submit(job)
    return Answer(model.name, sum(prompt.tokens for prompt in prompts), echoes, job)


def _wishes(wanted: CompletionRequest, prompts: list[ReadPrompt], most_tokens: int) -> list[Wish]:
    """Every choice of every prompt, none longer than `most_tokens`; with a seed each choice has its own."""
    tokens = min(wanted.max_tokens or OPENAI_MAX_TOKENS, most_tokens)
    return [
        Wish(index, prompt.prompt, _settings(wanted, tokens, index))
        for index, prompt in enumerate(prompt for prompt in prompts for _ in range(wanted.choices))
    ]


def _settings(wanted: CompletionRequest, max_new_tokens: int, index: int) -> SamplingSettings:
    """What is left out is as OpenAI has it: the model's own probabilities."""
    try:
        return SamplingSettings(
            temperature=1.0 if wanted.temperature is None else wanted.temperature,
            top_k=max(0, wanted.top_k or 0),
            top_p=wanted.top_p or 1.0,
            max_new_tokens=max_new_tokens,
            seed=None if wanted.seed is None else (wanted.seed + index) % 2**63,
            min_p=wanted.min_p or 0.0,
            repetition_penalty=wanted.repetition_penalty or 1.0,
            stop=wanted.stops,
        )
    except UserError as error:
        raise Refusal(400, str(error)) from error


async def _stream(answer: Answer, *, wants_usage: bool) -> AsyncIterator[str]:
    try:
        async for part in answer.job.parts():
            if chunk := answer.chunk(part):
                yield event(chunk)
    except Refusal as refusal:  # the head is sent: all that is left is to say it
        yield event(refusal.body())
        return
    if wants_usage:
        yield event(answer.last_chunk())
    yield DONE


async def _answer_whole(request: Request, answer: Answer, engine: Engine) -> Response:
    try:
        return JSONResponse(await _unless_gone(request, answer.whole()))
    finally:
        engine.cancel(answer.job)


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """The result, unless the client leaves before it is there.

    Raises:
        ClientDisconnect: when it has left.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_leave(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _wait_for_leave(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
