"""The safetensors format, streamed: one pass writes or reads, and the same pass feeds the SHA-256.

The file: 8 bytes little-endian header length, a JSON header padded with spaces, then the tensors' bytes
without gaps. https://huggingface.co/docs/safetensors. The library itself would need a whole copy of the state
in memory or a second pass over the file, and could load other bytes than those that were checked.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

CHUNK_BYTES = 1 << 22
MAX_HEADER_BYTES = 100_000_000
"""The same bound as the safetensors library's."""
MAX_DIMENSIONS = 16

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class DamagedError(Exception):
    """A file that is not what was once written, or is not there; the message completes "FILE …"."""


@dataclass(frozen=True)
class Content:
    """What a file held. `sha256` covers all of its bytes, also those of tensors that were not wanted."""

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]
    sha256: str


def serialize(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> tuple[int, Iterator[memoryview]]:
    """The size in bytes of the file and its content in pieces of at most `CHUNK_BYTES`, made as they are asked for.

    Args:
        tensors: dense tensors on the CPU, of any shape.
        metadata: strings to keep in the header.

    Raises:
        ValueError: for a dtype that the format has no name for, or a header above `MAX_HEADER_BYTES`.
    """
    # Wide dtypes first keeps every tensor aligned for readers that map the file into memory.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].element_size())
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, tensor in ordered:
        if tensor.dtype not in DTYPE_NAMES:
            raise ValueError(f"{name}: no safetensors name for {tensor.dtype}")
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    if len(encoded) > MAX_HEADER_BYTES:
        raise ValueError(f"the state and the names need {len(encoded)} bytes, more than {MAX_HEADER_BYTES}")
    head = len(encoded).to_bytes(8, "little") + encoded
    return len(head) + offset, _pieces(head, [tensor for _, tensor in ordered])


def deserialize(file: io.RawIOBase, size: int, prefix: str = "") -> Content:
    """Reads a whole file once; only tensors whose name starts with `prefix` take memory.

    Nothing is allocated before the header was found to fit into `size` bytes.

    Raises:
        DamagedError: when the file is no safetensors file of this size.
        OSError: when the disk cannot be read.
    """
    reader = _HashingReader(file)
    header, metadata = _read_header(reader, size)
    tensors = {}
    for name, dtype, shape, length in header:
        if not name.startswith(prefix):
            reader.skip(length)
            continue
        try:
            tensors[name] = torch.empty(shape, dtype=dtype)
        except RuntimeError as error:
            raise DamagedError(f"holds a tensor that does not fit into memory: {name}") from error
        reader.fill(_bytes_of(tensors[name]))
    return Content(tensors, metadata, reader.sha256.hexdigest())


class _HashingReader:
    """Reads exactly as many bytes as it is told to and hashes each."""

    def __init__(self, file: io.RawIOBase) -> None:
        self.sha256 = hashlib.sha256()
        self._file = file
        self._scratch = memoryview(bytearray(CHUNK_BYTES))

    def fill(self, target: memoryview) -> None:
        while target:
            count = self._file.readinto(target[:CHUNK_BYTES]) or 0
            if count == 0:
                raise DamagedError("is cut off")
            self.sha256.update(target[:count])
            target = target[count:]

    def skip(self, length: int) -> None:
        while length:
            piece = self._scratch[:length]
            self.fill(piece)
            length -= len(piece)

    def read(self, length: int) -> bytes:
        content = bytearray(length)
        self.fill(memoryview(content))
        return bytes(content)


def _read_header(
    reader: _HashingReader, size: int
) -> tuple[list[tuple[str, torch.dtype, list[int], int]], dict[str, str]]:
    """Name, dtype, shape and bytes of each tensor in the file's order, and the metadata."""
    length = int.from_bytes(reader.read(8), "little")
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise DamagedError("has an impossible header length")
    try:
        header = json.loads(reader.read(length))
        metadata = {str(name): str(text) for name, text in header.pop("__metadata__", {}).items()}
        parts = sorted((_part(name, entry) for name, entry in header.items()), key=lambda part: (part[3], part[4]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError("has a broken header") from error
    position = 0
    for _, dtype, shape, begin, end in parts:
        if begin != position or end - begin != math.prod(shape) * dtype.itemsize:
            raise DamagedError("has tensors that do not fit together")
        position = end
    if position != size - 8 - length:
        raise DamagedError("has tensors that do not fill it")
    return [(name, dtype, shape, end - begin) for name, dtype, shape, begin, end in parts], metadata


def _part(name: str, entry: Any) -> tuple[str, torch.dtype, list[int], int, int]:
    """One header entry, checked; raises ValueError, KeyError or TypeError when it is none."""
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if len(shape) > MAX_DIMENSIONS or any(
        type(number) is not int or not 0 <= number < 2**48 for number in [*shape, begin, end]
    ):
        raise ValueError(name)
    return name, DTYPES[entry["dtype"]], list(shape), begin, end


def _pieces(head: bytes, tensors: list[torch.Tensor]) -> Iterator[memoryview]:
    yield memoryview(head)
    for tensor in tensors:
        content = _bytes_of(tensor.detach().contiguous())
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """The memory of a contiguous tensor, not a copy of it."""
    content: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return memoryview(content)
