"""What the server will not do, in the shape of OpenAI's errors."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

NO_CHAT = "this model goes on from a text and holds no conversation: POST /v1/completions is there"
BASE_URL = "all addresses begin with /v1: let the client's base URL end with it"
NOT_HERE = {
    **dict.fromkeys(("/v1/chat/completions", "/v1/responses"), NO_CHAT),
    **dict.fromkeys(("/completions", "/chat/completions", "/responses", "/models"), BASE_URL),
}
"""What clients look for in vain, and what to do instead."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is answered with an error: its HTTP status and why, in words for whoever wrote the client."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        """Names the field that is wrong, if one is, and OpenAI's code for the mistake, if there is one."""
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> dict[str, Any]:
        """As OpenAI's clients read it."""
        return {"error": {"message": self.message, "type": self._type, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The whole answer. A body that was not read to its end is not waited for: the connection ends."""
        headers = {"connection": "close"} if self.status in (408, 413) else {}
        if self.status == 429:
            headers["retry-after"] = "1"
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse(self.body(), self.status, headers)

    @property
    def _type(self) -> str:
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"


def refuse(request: Request, error: Exception) -> JSONResponse:
    """The answer to whatever was raised while a request was read."""
    if isinstance(error, Refusal):
        return error.response()
    if isinstance(error, HTTPException):
        elsewhere = NOT_HERE.get(request.url.path, "no such address; GET / lists those that there are")
        words = {404: elsewhere, 405: "not with this method"}.get(error.status_code, error.detail)
        answer = Refusal(error.status_code, f"{request.method} {request.url.path}: {words}").response()
        answer.headers.update(error.headers or {})
        return answer
    return Refusal(500, "the server failed; its log says how").response()
