"""How a training can end badly: the words and the exit code for each. No torch."""

from __future__ import annotations

from tui_trainer.errors import UserError

EXIT_FINISHED = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_DIVERGED = 3

DIVERGED_REMEDY = "lower [training] learning_rate, for instance to a tenth, and check the data; the best is kept"


MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate", "ALLOC_FAILED")
"""How torch's allocators say it: CUDA's has an error of its own, those of CPU and MPS raise plain RuntimeErrors."""

MEMORY_REMEDY = "choose a smaller batch_size, context_length or model; the last checkpoint is kept"
ACCELERATOR_REMEDY = "nothing on it can be trusted or saved any more; the last checkpoint is kept: resume from it"


class Diverged(Exception):  # noqa: N818 - the field's word for it
    """A loss, a gradient or a weight is no longer a finite number, and going back did not help."""


class BadState(Exception):  # noqa: N818 - what the weights are in
    """Weights that must not be kept: they, or what they give, are not finite."""


class FullDisk(Exception):  # noqa: N818 - the field's word for it
    """The run has to end while the disk takes no checkpoint; says which step is safe."""


class OutOfMemory(UserError):  # noqa: N818 - the field's word for it
    """Not even one sequence at a time fits into memory."""


class Refused(UserError):  # noqa: N818 - what happened to the request
    """The run did not begin, or did not go on: what is in its directory tells of an earlier time."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on whatever device."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in MEMORY_WORDS)


def explain(error: BaseException) -> tuple[int, str]:
    """The exit code and at most three lines for a person."""
    if isinstance(error, UserError):
        code, text = EXIT_USAGE, str(error)
    elif is_out_of_memory(error):
        code, text = EXIT_USAGE, f"out of memory: {(str(error).splitlines() or [''])[0][:200]}\n{MEMORY_REMEDY}"
    elif isinstance(error, RuntimeError) and "CUDA error" in str(error):
        code, text = EXIT_ERROR, f"the GPU failed: {str(error).splitlines()[0]}\n{ACCELERATOR_REMEDY}"
    elif isinstance(error, FullDisk):
        code, text = EXIT_ERROR, str(error)
    elif isinstance(error, Diverged):
        code, text = EXIT_DIVERGED, f"the training diverged: {error}\n{DIVERGED_REMEDY}"
    else:
        code, text = EXIT_ERROR, f"{type(error).__name__}: {error}".splitlines()[0]
    return code, "\n".join(text.splitlines()[:3])
