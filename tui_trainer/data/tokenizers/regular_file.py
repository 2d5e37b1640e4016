"""Reading the files of a tokenizer, which may have come from anywhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_FILE_BYTES = 1 << 28
"""The largest vocabularies there are take a tenth of it."""


def read_regular(path: Path) -> bytes:
    """The content of a file, without waiting for a pipe's other end or reading a device for ever.

    Raises:
        OSError: when it cannot be opened.
        ValueError: when it is no regular file, or too large.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path.name} is not a regular file")
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{path.name} is too large")
    return content
