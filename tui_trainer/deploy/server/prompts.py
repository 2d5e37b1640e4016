"""A prompt as the model will see it, and how many tokens that is."""

from __future__ import annotations

from dataclasses import dataclass

from tui_trainer.data.tokenizers import Tokenizer
from tui_trainer.deploy.server.completion_request import Prompt
from tui_trainer.deploy.server.refusal import Refusal


@dataclass(frozen=True)
class ReadPrompt:
    """`tokens` counts what the model sees: an empty prompt is a new line to it."""

    prompt: Prompt
    text: str
    tokens: int


def read_prompt(prompt: Prompt, tokenizer: Tokenizer, context_length: int) -> ReadPrompt:
    """Reads a prompt that fits into the context.

    Raises:
        Refusal: for one that does not fit, or ids that the model does not know.
    """
    if isinstance(prompt, list):
        return _read_ids(prompt, tokenizer, context_length)
    # No token has more characters than the longest has bytes, so a very long text need not be encoded to be refused.
    if len(prompt) > context_length * max(1, int(tokenizer.token_byte_lengths.max())):
        raise _too_long(f"{len(prompt)} characters", context_length)
    tokens = len(tokenizer.encode_prompt(prompt)[0])
    if tokens > context_length:
        raise _too_long(f"{tokens} tokens", context_length)
    return ReadPrompt(prompt, prompt, max(1, tokens))


def _read_ids(ids: list[int], tokenizer: Tokenizer, context_length: int) -> ReadPrompt:
    if len(ids) > context_length:
        raise _too_long(f"{len(ids)} tokens", context_length)
    if not all(0 <= token < tokenizer.vocab_size for token in ids):
        raise Refusal(400, f"prompt: token ids go from 0 to {tokenizer.vocab_size - 1}", param="prompt")
    return ReadPrompt(ids, tokenizer.decode(ids), len(ids))


def _too_long(found: str, context_length: int) -> Refusal:
    message = f"this model's context is {context_length} tokens, and the prompt has {found}; shorten it"
    return Refusal(400, message, param="prompt", code="context_length_exceeded")
