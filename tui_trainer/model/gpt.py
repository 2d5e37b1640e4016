"""A GPT on one page, in two architectures.

`gpt2` is the layout of "Language Models are Unsupervised Multitask Learners": learned positions, LayerNorm with
bias before each part, GELU (its tanh form, or the exact one), head tied to the token embedding.

`modern` is the layout that transformers ships as NanoChatForCausalLM: rotary positions, weightless RMSNorm (after
the embedding, before each part, and on queries and keys), squared ReLU, no biases, untied head, logits capped at 15.

Both attend with "Attention Is All You Need"'s scaled dot product, causally.

Shapes: B sequences, T tokens, H heads, C = n_embd, V = vocab_size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_trainer.config import ModelConfig

INIT_STD = 0.02
RMS_EPS = 1e-6
ROTARY_BASE = 10_000.0
LOGIT_CAP = 15.0


class GPT(nn.Module):
    """Predicts the next token at every position."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        """Builds the network and draws its first weights from torch's global generator.

        Under `torch.device("meta")` nothing is drawn: that is how a copy for sampling is made.
        """
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.is_modern = config.architecture == "modern"
        self.wte = nn.Embedding(vocab_size, config.n_embd)
        self.wpe = None if self.is_modern else nn.Embedding(config.context_length, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.final_norm = make_norm(config)
        self.head = nn.Linear(config.n_embd, vocab_size, bias=False) if self.is_modern else None
        self._draw_weights()

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, T) to logits (B, T, V)."""
        return self.logits(self.hidden_states(tokens))

    def hidden_states(self, tokens: Tensor) -> Tensor:
        """Token ids (B, T), T at most `context_length`, to the vectors (B, T, C) that the head reads."""
        length = tokens.shape[1]
        x = self.wte(tokens)
        rotation = None
        if self.wpe is not None:
            x = x + self.wpe(torch.arange(length, device=tokens.device))
        else:
            x = F.rms_norm(x, (x.shape[-1],), eps=RMS_EPS)
            rotation = rotary_angles(length, self.config.n_embd // self.config.n_head, tokens.device)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, rotation)
        hidden: Tensor = self.final_norm(x)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Vectors (..., C) to unnormalised log probabilities (..., V)."""
        if self.head is None:
            return F.linear(hidden, self.wte.weight)
        return LOGIT_CAP * torch.tanh(self.head(hidden) / LOGIT_CAP)

    def _draw_weights(self) -> None:
        """GPT-2's initialisation: parts that write to the residual stream start smaller, in `modern` at 0."""
        residual_std = 0.0 if self.is_modern else INIT_STD / math.sqrt(2 * self.config.n_layer)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() < 2:
                nn.init.ones_(parameter)
            else:
                std = residual_std if name.endswith("projection.weight") else INIT_STD
                nn.init.normal_(parameter, mean=0.0, std=std)


class Block(nn.Module):
    """One transformer block: attention, then the feed-forward part, each added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = make_norm(config)
        self.attention = Attention(config)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotation)
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class Attention(nn.Module):
    """Causal self-attention over (B, T, C)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        has_bias = config.architecture == "gpt2"
        self.n_head = config.n_head
        self.dropout_probability = config.dropout
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd, bias=has_bias)
        self.projection = nn.Linear(config.n_embd, config.n_embd, bias=has_bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        batch, length, width = x.shape
        heads = self.qkv(x).view(batch, length, 3, self.n_head, width // self.n_head)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, H, T, C / H)
        if rotation is not None:
            query, key = (F.rms_norm(rotate(part, rotation), (part.shape[-1],), eps=RMS_EPS) for part in (query, key))
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.dropout_probability if self.training else 0.0
        )
        joined = mixed.transpose(1, 2).reshape(batch, length, width)
        out: Tensor = self.dropout(self.projection(joined))
        return out


class FeedForward(nn.Module):
    """Two linear maps with a non-linearity between, four times as wide inside."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.is_modern = config.architecture == "modern"
        self.gelu_form = "none" if config.activation == "gelu" else "tanh"
        self.expansion = nn.Linear(config.n_embd, 4 * config.n_embd, bias=not self.is_modern)
        self.projection = nn.Linear(4 * config.n_embd, config.n_embd, bias=not self.is_modern)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.expansion(x)
        x = F.relu(x).square() if self.is_modern else F.gelu(x, approximate=self.gelu_form)
        out: Tensor = self.dropout(self.projection(x))
        return out


def make_norm(config: ModelConfig) -> nn.Module:
    """LayerNorm with weight and bias for `gpt2`, RMSNorm without weight for `modern`."""
    if config.architecture == "modern":
        return nn.RMSNorm(config.n_embd, eps=RMS_EPS, elementwise_affine=False)
    return nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)


def rotary_angles(length: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, head_width / 2) of "RoFormer: Enhanced Transformer with Rotary Position Embedding"."""
    frequencies = ROTARY_BASE ** (-torch.arange(0, head_width, 2, device=device, dtype=torch.float32) / head_width)
    angles = torch.outer(torch.arange(length, device=device, dtype=torch.float32), frequencies)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turns the two halves of each head's vector (B, H, T, C / H) against each other, clockwise as NanoChat does."""
    cos, sin = (part.to(x.dtype) for part in rotation)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos + second * sin, second * cos - first * sin), dim=-1)
