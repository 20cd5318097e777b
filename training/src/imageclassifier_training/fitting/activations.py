"""What enters the blocks that are fine-tuned, computed once for each view and kept on disk.

The blocks below them never change, so their work is done once instead of once an epoch. With every block
fine-tuned the activations are the pixels themselves (uint8); else they are float16, whose rounding is far
below the noise of augmentation.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..errors import TrainingError
from ..networks import backbones
from ..networks.network import Network
from ..pictures import views
from ..pictures.dataset import Dataset, Progress
from .features import key

_BATCH = 16


def cut(network: Network, blocks: int | None) -> tuple[keras.Model | None, keras.Model]:
    """Cut the backbone below its last `blocks` blocks, into what stays and what is fine-tuned (None: all of
    it).

    Raises TrainingError when the network has several branches, or fewer blocks.
    """
    if len(network.branches) != 1:
        raise TrainingError("Fine-tuning works on one backbone; give --backbone once.")
    backbone = network.branches[0]
    if blocks is None:
        return None, backbone
    names = backbones.blocks(backbone)
    if not 1 <= blocks < len(names):
        raise TrainingError(
            f"{network.architecture} has {len(names)} blocks; fine-tune 1 to {len(names) - 1}, or all."
        )
    last_kept = list(names.values())[-blocks - 1][-1]
    tensor = backbone.get_layer(last_kept).output
    return keras.Model(backbone.input, tensor, name="kept"), keras.Model(
        tensor, backbone.output, name="tuned"
    )


class Activations:
    """The activations of all pictures of a data set in several views, read from disk when asked for."""

    def __init__(self, by_view: list[NDArray[Any]]) -> None:
        self._by_view = by_view

    @property
    def views(self) -> int:
        return len(self._by_view)

    def batch(self, pictures: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """The activations of some pictures, each in its chosen view, float32 `(pictures, rows, columns,
        channels)`.
        """
        rows = [self._by_view[view][picture] for picture, view in zip(pictures, chosen, strict=True)]
        return np.stack(rows).astype(np.float32)


def compute(
    network: Network, kept: keras.Model | None, dataset: Dataset, count: int, cache: Path, progress: Progress
) -> Activations:
    """Compute, or find in the cache, the activations of `count` views of each picture."""
    return Activations([_one_view(network, kept, dataset, view, cache, progress) for view in range(count)])


def _one_view(
    network: Network, kept: keras.Model | None, dataset: Dataset, view: int, cache: Path, progress: Progress
) -> NDArray[Any]:
    order = hashlib.sha256("".join(picture.digest for picture in dataset.pictures).encode()).hexdigest()
    layer = kept.output.name if kept is not None else "pixels"
    path = cache / f"activations-{key(network, view)}-{layer}-{order[:16]}.npy"
    if not path.exists():
        _write(path, network, kept, dataset, view, progress)
    return np.asarray(np.load(path, mmap_mode="r"))


def _write(
    path: Path, network: Network, kept: keras.Model | None, dataset: Dataset, view: int, progress: Progress
) -> None:
    shape = (kept.output if kept is not None else network.model.input).shape[1:]
    dtype = np.float16 if kept is not None else np.uint8
    size = len(dataset.pictures) * int(np.prod(shape)) * np.dtype(dtype).itemsize
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < 2 * size:
        raise TrainingError(
            f"{path.parent} has too little room for {size / 1e9:.1f} GB of activations; "
            "use fewer --views, or another --cache."
        )
    run = tf.function(lambda pixels: kept(pixels, training=False)) if kept is not None else tf.identity
    loaded = views.draw(dataset.pictures, network.architecture.input, view)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".activations-", suffix=".npy") as file:
        stored = np.lib.format.open_memmap(
            file.name, mode="w+", dtype=dtype, shape=(len(dataset.pictures), *shape)
        )
        for start in range(0, len(stored), _BATCH):
            stop = min(start + _BATCH, len(stored))
            pixels = np.stack([next(loaded) for _ in range(start, stop)])
            stored[start:stop] = run(tf.constant(pixels, tf.float32)).numpy()
            progress(f"What enters the fine-tuned blocks, view {view}", stop, len(stored))
        stored.flush()
        path.hardlink_to(file.name)
