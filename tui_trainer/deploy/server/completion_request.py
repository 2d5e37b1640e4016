"""What a client may ask for: OpenAI's fields, checked, and what they mean here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from tui_trainer.deploy.server.limits import MAX_CHOICES, MAX_STOPS, MAX_TEXTS
from tui_trainer.deploy.server.refusal import Refusal

Prompt = str | list[int]
"""A text, or token ids."""

MAX_STOP_CHARACTERS = 256
INT64 = 1 << 63

StopText = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]


class StreamOptions(BaseModel):
    """What else is streamed."""

    model_config = ConfigDict(strict=True, frozen=True)
    include_usage: bool | None = None


class CompletionRequest(BaseModel):
    """The body of POST /v1/completions. Fields that are not listed are ignored; each description says what it may be.

    `top_k`, `min_p` and `repetition_penalty` are not OpenAI's: other servers of open models have them too.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    model: str = Field(max_length=256, description="the name of a model that GET /v1/models lists")
    prompt: Any = Field(None, description=f"a text, a list of at most {MAX_TEXTS} texts, or token ids")
    max_tokens: int | None = Field(None, ge=1, description="a whole number from 1 on")
    temperature: float | None = Field(None, ge=0, le=2, description="a number from 0 to 2")
    top_p: float | None = Field(None, gt=0, le=1, description="a number above 0 and at most 1")
    top_k: int | None = Field(None, ge=-1, lt=INT64, description="a whole number; 0 or -1 for all tokens")
    min_p: float | None = Field(None, ge=0, le=1, description="a number from 0 to 1")
    repetition_penalty: float | None = Field(None, ge=1, le=10, description="a number from 1 to 10")
    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description=f"a whole number from 1 to {MAX_CHOICES}")
    stop: StopText | list[StopText] | None = Field(
        None,
        description=f"a text or a list of at most {MAX_STOPS}, each of 1 to {MAX_STOP_CHARACTERS} characters",
    )
    seed: int | None = Field(None, ge=-INT64, lt=INT64, description="a whole number of 64 bits")
    stream: bool | None = Field(None, description="true or false")
    stream_options: StreamOptions | None = Field(None, description='a table such as {"include_usage": true}')
    echo: bool | None = Field(None, description="true or false")
    user: str | None = Field(None, description="a text")
    best_of: int | None = Field(None, description="left out: every choice is returned")
    logprobs: Any = Field(None, description="left out: probabilities are not returned")
    logit_bias: Any = Field(None, description="left out: no token can be favoured")
    suffix: str | None = Field(None, description="left out: the model only writes on")
    frequency_penalty: float | None = Field(None, description="0; repetition_penalty is there instead")
    presence_penalty: float | None = Field(None, description="0; repetition_penalty is there instead")

    @property
    def choices(self) -> int:
        """How many texts are wanted for each prompt."""
        return self.n or 1

    @property
    def stops(self) -> tuple[str, ...]:
        """Where the text ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with how many tokens there were."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def prompts(self) -> list[Prompt]:
        """At least one.

        Raises:
            Refusal: when it is none of what a prompt may be.
        """
        if self.prompt is None or isinstance(self.prompt, str):
            return [self.prompt or ""]
        if isinstance(self.prompt, list) and self.prompt:
            if _are_ids(self.prompt):
                return [self.prompt]
            if len(self.prompt) <= MAX_TEXTS and all(isinstance(prompt, str) for prompt in self.prompt):
                return self.prompt
            if len(self.prompt) <= MAX_TEXTS and all(map(_are_ids, self.prompt)):
                return self.prompt
        raise wrong_field("prompt")


def read_request(body: bytes) -> CompletionRequest:
    """The request that a body holds.

    Raises:
        Refusal: when it is no JSON, or not what the fields may be.
    """
    try:
        # Unlike `json`, this parser has a bound for depth and knows neither NaN nor half a character.
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}"[:200]) from error
    if not isinstance(content, dict):
        raise Refusal(400, "the body must be a JSON object")
    try:
        request = CompletionRequest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise wrong_field(str(first["loc"][0]), is_missing=first["type"] == "missing") from error
    _refuse_unmet(request)
    return request


def wrong_field(name: str, *, is_missing: bool = False) -> Refusal:
    """Says what a field may be."""
    words = "is missing; it must be" if is_missing else "must be"
    return Refusal(400, f"{name} {words} {CompletionRequest.model_fields[name].description}", param=name)


def _refuse_unmet(request: CompletionRequest) -> None:
    """What the schema allows and this server cannot do is not passed over in silence."""
    unmet = {
        "best_of": request.best_of not in (None, 1, request.n),
        "logprobs": request.logprobs is not None and request.logprobs is not False,
        "logit_bias": bool(request.logit_bias),
        "suffix": bool(request.suffix),
        "frequency_penalty": bool(request.frequency_penalty),
        "presence_penalty": bool(request.presence_penalty),
        "stop": len(request.stops) > MAX_STOPS,
    }
    for name in (name for name, is_unmet in unmet.items() if is_unmet):
        raise wrong_field(name)
    if request.stream_options and not request.stream:
        raise Refusal(400, "stream_options may only stand beside stream = true", param="stream_options")


def _are_ids(prompt: object) -> bool:
    return isinstance(prompt, list) and bool(prompt) and all(type(token) is int for token in prompt)
