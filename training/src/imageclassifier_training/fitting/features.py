"""Pooled features of pictures, kept in a cache that is keyed by what they were made from.

The key of a cache file covers the network, its weights, the pixel preparation's source and the kind of view;
inside it, each row goes by the sha256 of its picture's bytes. So renamed files, another split or a second
data set with some of the same pictures all find their features, and nothing that changed finds an old one.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import PIL
import tensorflow as tf
from numpy.typing import NDArray

import imageclassifier_gateway.images as images

from ..files import write_atomically
from ..networks.network import Network
from ..pictures import views
from ..pictures.dataset import Picture, Progress

_BATCH = 16


def extract(
    network: Network,
    pictures: tuple[Picture, ...],
    view: int,
    cache: Path,
    progress: Progress = lambda *_: None,
) -> NDArray[np.float32]:
    """Features of one view of each picture, float32 `(pictures, features)`, in the pictures' order.

    View 0 is the picture as it is served; the others are augmented (`views.draw`).
    """
    path = cache / f"features-{key(network, view)}.npz"
    known = _load(path)
    missing = list({each.digest: each for each in pictures if each.digest not in known}.values())
    what = f"Features ({network.architecture}{', view ' + str(view) if view else ''})"
    done = 0
    for batch, rows in _computed(network, missing, view):
        known.update(zip((picture.digest for picture in batch), rows, strict=True))
        done += len(batch)
        progress(what, done, len(missing))
    if missing:
        _save(path, known)
    return np.stack([known[picture.digest] for picture in pictures])


def _computed(
    network: Network, pictures: list[Picture], view: int
) -> Iterator[tuple[list[Picture], NDArray[np.float32]]]:
    run = tf.function(lambda pixels: network.features(pixels, training=False), reduce_retracing=True)
    loaded = views.draw(pictures, network.architecture.input, view)
    for start in range(0, len(pictures), _BATCH):
        batch = pictures[start : start + _BATCH]
        pixels = np.stack([next(loaded) for _ in batch])
        yield batch, run(tf.constant(pixels, tf.float32)).numpy()


def key(network: Network, view: int) -> str:
    """Identifies everything that the features of a view depend on, but for the pictures."""
    digest = hashlib.sha256()
    digest.update(json.dumps(network.architecture.to_dict(), sort_keys=True).encode())
    for module in (images, views):
        digest.update(inspect.getsource(module).encode())
    digest.update(f"{PIL.__version__} {keras.__version__} {tf.__version__} view {view}".encode())
    for weight in network.features.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:24]


def _load(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(zip(stored["digests"].tolist(), stored["features"], strict=True))
    except (OSError, ValueError, KeyError):
        return {}  # absent, or damaged: made anew


def _save(path: Path, features: dict[str, NDArray[np.float32]]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, digests=np.array(list(features)), features=np.stack(list(features.values())))
    write_atomically(path, buffer.getvalue())
