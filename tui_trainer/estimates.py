"""What a run will cost, before it is started: parameters, FLOP and memory. No torch."""

from __future__ import annotations

from tui_trainer.config import ModelConfig, RunConfig

BYTES_PER_FLOAT = 4
STEP_COPIES = 4
"""Of the weights during a step: themselves, gradients and the optimizer's two running averages."""
SAVE_COPIES = 7
"""While a checkpoint is written: those, and copies of all but the gradients, which later steps cannot change."""
PROCESS_BYTES = 400_000_000
"""What a process holds once torch has made a first step: measured, torch 2.13 on Linux, benchmarks/memory.py."""
WASTE = 1.1
"""What the allocator cannot use again at once: measured likewise."""
SAMPLE_SHARE = 0.05
LEAST_SAMPLE_TOKENS = 32
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
    """About the most memory that a process takes to train in fp32 on a CPU, torch included."""
    rows = config.training.micro_batch_size or config.training.batch_size
    return PROCESS_BYTES + training_bytes(config, vocab_size, rows)


def training_bytes(config: RunConfig, vocab_size: int, micro_batch_size: int) -> int:
    """About the most memory that training itself takes in fp32: in a step, in an evaluation or in a save."""
    weights = parameter_count(config.model, vocab_size)
    evaluated = evaluation_batch_size(config, vocab_size) * config.model.context_length
    evaluation = weights * STEP_COPIES + evaluated * vocab_size * 2
    others = round(WASTE * BYTES_PER_FLOAT * max(evaluation, weights * SAVE_COPIES))
    return max(step_bytes(config, vocab_size, micro_batch_size), others)


def step_bytes(config: RunConfig, vocab_size: int, micro_batch_size: int) -> int:
    """About the most memory that a step takes in fp32: weights, optimizer, activations and logits."""
    weights = parameter_count(config.model, vocab_size) * STEP_COPIES
    tokens = micro_batch_size * config.model.context_length
    return round(WASTE * BYTES_PER_FLOAT * (weights + tokens * _floats_per_token(config.model, vocab_size)))


def _floats_per_token(model: ModelConfig, vocab_size: int) -> int:
    """What the backward pass needs of the forward pass, counted with torch's saved-tensor hooks.

    In vectors of the width, a block keeps 16, in `modern` 21; with dropout 18 or 20 and, because attention is then
    written out on a CPU, three rows of attention weights a head. Logits come with their log-softmax and gradients.
    """
    is_modern = model.architecture == "modern"
    if model.dropout:
        block = (20 if is_modern else 18) * model.n_embd + 3 * model.n_head * model.context_length
    else:
        block = (21 if is_modern else 16) * model.n_embd
    return model.n_layer * block + (6 if is_modern else 4) * vocab_size


def sample_tokens(config: RunConfig) -> int:
    """Tokens of one sample at an evaluation: as many as cost a twentieth of the training between two evaluations.

    A token is written by a forward pass over the whole context, learned from by three passes over itself: a figure of
    the configuration, not of the clock, so that two runs write the same.
    """
    training, prompts = config.training, max(1, len(config.sampling.prompts))
    affordable = SAMPLE_SHARE * 3 * training.eval_interval * training.batch_size / prompts
    return min(config.sampling.max_new_tokens, max(LEAST_SAMPLE_TOKENS, int(affordable)))


def evaluation_batch_size(config: RunConfig, vocab_size: int) -> int:
    """Sequences an evaluation takes at once: enough to be fast, few enough for the logits to stay small."""
    tokens = min(EVALUATION_TOKENS, EVALUATION_LOGITS // vocab_size)
    return max(1, tokens // config.model.context_length)
