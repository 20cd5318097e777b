"""Computes the pooled features of images, and caches them under a key of everything that they depend on.

The name of a cache file is a hash of the network, its weights, the source code of the preprocessing and the
number of the view. Inside it, each row has the sha256 of its image. Renamed files, another split and a second
data set with some of the same images therefore find their features, and a change of any input misses the
cache.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import PIL
import tensorflow as tf
from numpy.typing import NDArray

import imageclassifier_gateway.pixels.images as images

from ..files import write_atomically
from ..networks.network import Network
from ..pictures import views
from ..pictures.dataset import Picture
from ..progress import Progress, no_progress

_BATCH = 16
_SAVE_SECONDS = 20.0


def extract(
    network: Network,
    pictures: tuple[Picture, ...],
    view: int,
    cache: Path,
    progress: Progress = no_progress,
) -> NDArray[np.float32]:
    """Compute the features of one view of each image, or read them from the cache.

    Returns float32 `(images, features)` in the order of the images. View 0 is the image as the gateway
    prepares it; the others are augmented (`views.draw`).
    """
    path = cache / f"features-{key(network, view)}.npz"
    known = _load(path)
    wanted = {each.digest: each for each in pictures}
    missing = [each for digest, each in wanted.items() if digest not in known]
    step = f"Compute features ({network.architecture}, view {view})"
    # The total is that of the images, copies included, as for all other steps.
    done, saved = len(pictures) - len(missing), time.monotonic()
    progress(step, done, len(pictures))
    for batch, rows in _computed(network, missing, view):
        known.update(zip((picture.digest for picture in batch), rows, strict=True))
        done += len(batch)
        progress(step, done, len(pictures))
        # A run that is killed continues from here. Large caches are saved less often.
        if done == len(pictures) or time.monotonic() - saved > max(_SAVE_SECONDS, len(known) / 1000):
            _save(path, known)
            saved = time.monotonic()
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
    """Hash everything that the features of a view depend on, except for the images."""
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
        return {}  # missing or damaged: computed again


def _save(path: Path, features: dict[str, NDArray[np.float32]]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, digests=np.array(list(features)), features=np.stack(list(features.values())))
    write_atomically(path, buffer.getvalue())
