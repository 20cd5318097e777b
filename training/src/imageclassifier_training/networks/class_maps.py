"""Class activation maps: the logit of each class at each place of a picture.

With a linear head over averaged features, the logit of a class is the mean of the head applied to each
place (Zhou et al., "Learning deep features for discriminative localization", CVPR 2016). So these maps are
exact: they split the logit up, and estimate nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .head import Head


def class_maps(feature_maps: Sequence[Any], head: Head) -> Any:
    """The maps `(batch, rows, columns, classes)` of the features of each branch before they are averaged.

    Those are `(batch, rows, columns, features)`. The mean of the maps over all places is
    `features @ kernel + bias` of the pooled features. With several branches, the grid of each becomes that of
    the finest one.
    """
    rows, columns = (max(int(each.shape[axis]) for each in feature_maps) for axis in (1, 2))
    total, first = tf.constant(head.bias), 0
    for each in feature_maps:
        kernel = head.kernel[first : first + each.shape[3]]
        first += each.shape[3]
        scores = tf.linalg.matmul(each, tf.constant(kernel))
        height, width = (_overlaps(int(scores.shape[axis]), size) for axis, size in ((1, rows), (2, columns)))
        total += tf.einsum("ri,bijk,cj->brck", height, scores, width)
    return total


def _overlaps(cells: int, wanted: int) -> NDArray[np.float32]:
    """The share of each of `cells` in each of the `wanted` cells of the same length, `(wanted, cells)`.

    Each row sums to one, and each cell has the same weight in all rows together. So the mean stays the same.
    """
    edges, finer = np.arange(cells + 1) / cells, np.arange(wanted + 1) / wanted
    low = np.maximum(edges[None, :-1], finer[:-1, None])
    high = np.minimum(edges[None, 1:], finer[1:, None])
    return np.asarray(np.maximum(high - low, 0) * wanted, dtype=np.float32)
