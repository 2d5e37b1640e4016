"""What a run will cost, before it is started: parameters, FLOP and memory. No torch."""

from __future__ import annotations

from tui_trainer.config import ModelConfig, RunConfig

BYTES_PER_FLOAT = 4
ADAMW_COPIES = 4
"""Weights, gradients and AdamW's two running averages, each as large as the model."""
TORCH_BYTES = 300_000_000
"""What a process holds once torch is imported: measured, torch 2.13 on Linux."""
LOGIT_COPIES = 3
"""Logits, their log-softmax and the gradient."""
EVALUATION_TOKENS = 4096
EVALUATION_LOGITS = 64_000_000


def parameter_count(model: ModelConfig, vocab_size: int) -> int:
    """The parameters of a `GPT`, each counted once: a tied head has none of its own."""
    width, layers = model.n_embd, model.n_layer
    matrices = layers * 12 * width * width
    if model.architecture == "modern":
        return matrices + 2 * vocab_size * width
    biases_and_norms = layers * (9 * width + 4 * width) + 2 * width
    return matrices + biases_and_norms + (vocab_size + model.context_length) * width


def flop_per_token(model: ModelConfig, vocab_size: int) -> int:
    """FLOP to learn from one token, forward and backward.

    Six for each parameter that multiplies, the head included, and attention's 12 L C T, as in appendix B of
    "PaLM: Scaling Language Modeling with Pathways".
    """
    multiplying = model.n_layer * 12 * model.n_embd**2 + vocab_size * model.n_embd
    return 6 * multiplying + 12 * model.n_layer * model.n_embd * model.context_length


def memory_bytes(config: RunConfig, vocab_size: int) -> int:
    """About the most memory that a process takes to train in fp32, torch included."""
    return TORCH_BYTES + training_bytes(
        config, vocab_size, config.training.micro_batch_size or config.training.batch_size
    )


def training_bytes(config: RunConfig, vocab_size: int, micro_batch_size: int) -> int:
    """About the most memory that training itself takes in fp32: weights and optimizer, activations, logits."""
    model = config.model
    weights = parameter_count(model, vocab_size) * BYTES_PER_FLOAT * ADAMW_COPIES
    tokens = micro_batch_size * model.context_length
    # Each block keeps about 16 vectors of the width a token for its backward pass.
    activations = tokens * model.n_layer * 16 * model.n_embd * BYTES_PER_FLOAT
    logits = tokens * vocab_size * BYTES_PER_FLOAT * LOGIT_COPIES
    evaluation = evaluation_batch_size(config, vocab_size) * model.context_length * vocab_size * BYTES_PER_FLOAT * 2
    return weights + max(activations + logits, evaluation)


def evaluation_batch_size(config: RunConfig, vocab_size: int) -> int:
    """Sequences an evaluation takes at once: enough to be fast, few enough for the logits to stay small."""
    tokens = min(EVALUATION_TOKENS, EVALUATION_LOGITS // vocab_size)
    return max(1, tokens // config.model.context_length)
