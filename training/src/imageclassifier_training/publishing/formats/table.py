"""The formats of `export --formats`. To add one, add a `Format` here, and its name to `version.FORMATS`."""

from __future__ import annotations

from ...errors import TrainingError
from ..version import FORMATS as NAMES
from .candidate import Format
from .onnx import ONNX
from .tflite import TFLITE, TFLITE_INT8

_FORMATS = {each.name: each for each in (TFLITE, TFLITE_INT8, ONNX)}
assert tuple(_FORMATS) == NAMES


def format_of(name: str) -> Format:
    """The format of this name. Raises TrainingError if there is none."""
    try:
        return _FORMATS[name]
    except KeyError:
        raise TrainingError(f"Unknown format '{name}'. Use {', '.join(NAMES)}.") from None
