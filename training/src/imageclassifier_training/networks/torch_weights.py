"""Reads weights files of old PyTorch versions without PyTorch, and without running code from the file.

The legacy format of `torch.save` (before 1.6) has five pickles (magic number, protocol, system, the object,
the keys of the storages) and then, for each key, the number of elements as int64 and the raw values. A pickle
can call any function that it names. The unpickler here therefore accepts four names and refuses all others.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    elements: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Accepts only the four names that a state dictionary needs."""

    _KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not a tensor") from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, elements, _view = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to a {kind!r}, not to a storage")
        return _Storage(key, dtype, elements)


def load_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """Read the tensors of a legacy `.pth` file by name, as numpy arrays of the same shape and dtype.

    Raises TrainingError when the file has another format, or names anything other than tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"{path.name} is not a readable legacy PyTorch weights file: {error}.") from error


def _read(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise ValueError("the magic number is wrong")
    if not _Unpickler(file).load().get("little_endian"):
        raise ValueError("its numbers are big-endian")
    tensors = _Unpickler(file).load()
    storages: dict[str, NDArray[Any]] = {}
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    for key in _Unpickler(file).load():
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        dtype = np.dtype(dtypes[key])
        storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
        if len(storages[key]) != count:
            raise EOFError("it is truncated")
    return {
        name: np.ascontiguousarray(
            np.lib.stride_tricks.as_strided(
                storages[tensor.storage.key][tensor.offset :],
                tensor.shape,
                [stride * storages[tensor.storage.key].itemsize for stride in tensor.strides],
            )
        )
        for name, tensor in tensors.items()
    }
