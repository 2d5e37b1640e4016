"""What may be asked for, checked before anything heavy is loaded."""

from __future__ import annotations

from tui_trainer.errors import UserError

FORMATS = ("hf", "safetensors", "onnx", "gguf")
QUANTIZATIONS = ("int8",)


def check_request(name: str, quantize: str | None) -> None:
    """Raises UserError for a format or a quantization that there is not."""
    if name not in FORMATS:
        raise UserError(f"--format {name}: must be {', '.join(FORMATS)}")
    if quantize is not None and quantize not in QUANTIZATIONS:
        raise UserError(f"--quantize {quantize}: must be int8")
    if quantize is not None and name != "onnx":
        raise UserError(f"--quantize {quantize}: only for --format onnx")
