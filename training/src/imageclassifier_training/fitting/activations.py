"""Computes the input of the fine-tuned blocks, once for each view, and caches it on disk.

The blocks below never change, so they run once instead of once per epoch. If all blocks are fine-tuned, the
activations are the pixels themselves (uint8). Otherwise they are float16: its rounding is far below the noise
of augmentation.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..errors import TrainingError
from ..networks import pretrained
from ..networks.network import Network
from ..pictures.dataset import Dataset
from ..pictures.views import draw
from ..progress import Progress
from ..words import counted
from .features import key

_BATCH = 16


def cut(network: Network, blocks: int | None) -> tuple[keras.Model | None, keras.Model]:
    """Cut the backbone below its last `blocks` blocks, into the frozen part and the fine-tuned part.

    With `blocks` None, the whole backbone is fine-tuned and the frozen part is None. Raises TrainingError
    when the network has several branches, or too few blocks.
    """
    if len(network.branches) != 1:
        raise TrainingError("--fine-tune works with one backbone only. Give --backbone once.")
    backbone = network.branches[0]
    if blocks is None:
        return None, backbone
    names = pretrained.blocks(backbone)
    if not 1 <= blocks < len(names):
        raise TrainingError(
            f"{network.architecture} has {counted(len(names), 'block')}. Give --fine-tune 1 to "
            f"{len(names) - 1}, or all."
        )
    last_frozen = list(names.values())[-blocks - 1][-1]
    tensor = backbone.get_layer(last_frozen).output
    return keras.Model(backbone.input, tensor, name="frozen"), keras.Model(
        tensor, backbone.output, name="fine_tuned"
    )


class Activations:
    """The activations of all images of a data set in several views, read from disk on demand."""

    def __init__(self, by_view: list[NDArray[Any]]) -> None:
        self._by_view = by_view

    @property
    def views(self) -> int:
        """The number of views."""
        return len(self._by_view)

    def batch(self, pictures: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read the activations of some images, each in its chosen view.

        Returns float32 `(images, rows, columns, channels)`.
        """
        rows = [self._by_view[view][picture] for picture, view in zip(pictures, chosen, strict=True)]
        return np.stack(rows).astype(np.float32)


@dataclass(frozen=True)
class FrozenPart:
    """The network, and those of its blocks that are not fine-tuned (None: all are)."""

    network: Network
    blocks: keras.Model | None


def compute(frozen: FrozenPart, dataset: Dataset, views: int, cache: Path, progress: Progress) -> Activations:
    """Compute the activations of the first `views` views of each image, or read them from the cache."""
    return Activations([_one_view(frozen, dataset, view, cache, progress) for view in range(views)])


def _one_view(
    frozen: FrozenPart, dataset: Dataset, view: int, cache: Path, progress: Progress
) -> NDArray[Any]:
    order = hashlib.sha256("".join(picture.digest for picture in dataset.pictures).encode()).hexdigest()
    layer = frozen.blocks.output.name if frozen.blocks is not None else "pixels"
    path = cache / f"activations-{key(frozen.network, view)}-{layer}-{order[:16]}.npy"
    if not path.exists():
        _write(path, frozen, dataset, view, progress)
    return np.asarray(np.load(path, mmap_mode="r"))


def _write(path: Path, frozen: FrozenPart, dataset: Dataset, view: int, progress: Progress) -> None:
    network, blocks = frozen.network, frozen.blocks
    shape = (blocks.output if blocks is not None else network.model.input).shape[1:]
    dtype = np.float16 if blocks is not None else np.uint8
    size = len(dataset.pictures) * int(np.prod(shape)) * np.dtype(dtype).itemsize
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < 2 * size:
        raise TrainingError(
            f"The disk of {path.parent} has too little space for {size / 1e9:.1f} GB of activations. "
            "Lower --views, or choose another --cache."
        )
    run = tf.function(lambda pixels: blocks(pixels, training=False)) if blocks is not None else tf.identity
    loaded = draw(dataset.pictures, network.architecture.input, view)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".activations-", suffix=".npy") as file:
        stored = np.lib.format.open_memmap(
            file.name, mode="w+", dtype=dtype, shape=(len(dataset.pictures), *shape)
        )
        step = f"Compute the input of the fine-tuned blocks (view {view})"
        progress(step, 0, len(stored))
        for start in range(0, len(stored), _BATCH):
            stop = min(start + _BATCH, len(stored))
            pixels = np.stack([next(loaded) for _ in range(start, stop)])
            stored[start:stop] = run(tf.constant(pixels, tf.float32)).numpy()
            progress(step, stop, len(stored))
        stored.flush()
        path.hardlink_to(file.name)
