"""Merges the tensors of several requests into those of one batch, with padding.

Pure functions; rules and messages are those of TensorFlow Serving's batching_session.cc.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from .batching_options import Batching
from .status import Code, StatusError, invalid_argument
from .tensors import Array


def batch_size(inputs: Mapping[str, Array]) -> int:
    """The first dimension that all inputs share; raises StatusError (INVALID_ARGUMENT) when they do not."""
    if not inputs:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in inputs.values()):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    sizes = {array.shape[0] for array in inputs.values()}
    if len(sizes) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return int(sizes.pop())


def merge(name: str, arrays: Sequence[Array], options: Batching) -> Array:
    """Put the same input of several tasks together, and fill up to the next allowed batch size.

    The rows that fill up repeat the first row of the last task. Raises StatusError (FAILED_PRECONDITION) when
    other dimensions than the first differ and padding is off.
    """
    if any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
        if not options.pad_variable_length_inputs or len({array.ndim for array in arrays}) > 1:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                f"Tensors with name '{name}' from different tasks have different shapes and padding is "
                "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with the "
                "same name have equal dimensions starting with the first dim.",
            )
        arrays = [_pad(array, np.max([other.shape[1:] for other in arrays], axis=0)) for array in arrays]
    rows = sum(array.shape[0] for array in arrays)
    filler = np.repeat(arrays[-1][:1], allowed_size(rows, options.allowed_batch_sizes) - rows, axis=0)
    parts = [*arrays, filler] if len(filler) else list(arrays)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _pad(array: Array, shape: Sequence[int]) -> Array:
    padded = np.full((array.shape[0], *shape), array.flat[0], array.dtype)
    padded[tuple(slice(size) for size in array.shape)] = array
    return padded


def allowed_size(rows: int, allowed_batch_sizes: Sequence[int]) -> int:
    """The smallest allowed batch size that holds `rows`; any size where none are named.

    >>> allowed_size(3, (1, 4, 8)), allowed_size(3, ())
    (4, 3)
    """
    return next((size for size in allowed_batch_sizes if size >= rows), rows)
