"""What clients get back, in OpenAI's shapes."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from tui_trainer.deploy.server.job import Job, Part

DONE = "data: [DONE]\n\n"


@dataclass
class Answer:
    """One answer while it grows: its head, the texts, and how many tokens there were."""

    model: str
    prompt_tokens: int
    echoes: list[str]
    """What each choice begins with: its prompt when that is to be repeated, else nothing."""
    job: Job
    completion_tokens: int = 0
    id: str = field(default_factory=lambda: f"cmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    async def whole(self) -> dict[str, Any]:
        """Waits for all of it.

        Raises:
            Refusal: when the model fails.
        """
        texts, finishes = list(self.echoes), ["length"] * len(self.echoes)
        async for part in self.job.parts():
            self.completion_tokens += part.tokens
            texts[part.index] += part.text
            finishes[part.index] = part.finish or finishes[part.index]
        choices = [_choice(i, text, finish) for i, (text, finish) in enumerate(zip(texts, finishes, strict=True))]
        return {**self._head(), "choices": choices, "usage": self.usage()}

    def chunk(self, part: Part) -> dict[str, Any] | None:
        """A piece of a stream, or None while a character or a stop text may still become whole."""
        self.completion_tokens += part.tokens
        if not (part.text or part.finish):
            return None
        echo, self.echoes[part.index] = self.echoes[part.index], ""
        return {**self._head(), "choices": [_choice(part.index, echo + part.text, part.finish)]}

    def last_chunk(self) -> dict[str, Any]:
        """The piece of a stream that holds nothing but the count of tokens."""
        return {**self._head(), "choices": [], "usage": self.usage()}

    def usage(self) -> dict[str, int]:
        """How many tokens there were."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            # OpenAI's clients look here for whether the same seed still gives the same text.
            "system_fingerprint": f"step-{self.job.step}",
        }


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def event(content: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n"
