"""The distance of pooled features from those of the training images.

It is the cosine distance to a near one of them: Sun et al. ("Out-of-distribution detection with deep nearest
neighbors", ICML 2022) find that it tells unknown images from known ones, and needs no assumption about how
features are distributed. The centres of clusters stand for the training images, so that the model stays
small. A Mahalanobis distance found fewer of the pictures that show no food (`docs/training.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

#: 8 to 64 clusters find about the same pictures.
CLUSTERS = 32
#: With fewer images in each, the centres would be the images themselves, and their distances zero.
_IMAGES_PER_CLUSTER = 8
_BATCH = 512
#: Keeps the features of a picture that has none from dividing by zero.
_SMALLEST = 1e-6
_CENTRES = "distance/centres"


@dataclass(frozen=True)
class Distance:
    """The centres of the clusters of training images: unit vectors, float32 `(clusters, features)`."""

    centres: NDArray[np.float32]

    @classmethod
    def fit(cls, features: NDArray[np.float32]) -> Distance:
        """Fit the centres to features `(n, features)` by spherical k-means, with the same seed each time."""
        rows = _unit(features)
        clusters = max(1, min(CLUSTERS, len(rows) // _IMAGES_PER_CLUSTER))
        found = MiniBatchKMeans(clusters, random_state=0, n_init=1, batch_size=_BATCH).fit(rows)
        # The fit is what is saved and exported, so it has the precision of the file.
        return cls(_unit(found.cluster_centers_).astype(np.float16).astype(np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of a file, by name; they take half of the space of float32."""
        return {_CENTRES: self.centres.astype(np.float16)}

    @classmethod
    def from_arrays(cls, stored: Mapping[str, NDArray[Any]]) -> Distance | None:
        """Read what `arrays` returned; None if it is missing."""
        return cls(stored[_CENTRES].astype(np.float32)) if _CENTRES in stored else None

    def of(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The distances `(n,)`, from 0 to 2, of features `(n, features)`."""
        return np.asarray(self.of_tensor(tf.constant(features)).numpy(), dtype=np.float64)

    def of_tensor(self, features: Any) -> Any:
        """The same as a part of a TensorFlow graph: float32 `(batch,)` from float32 `(batch, features)`."""
        length = tf.maximum(tf.norm(features, axis=1, keepdims=True), _SMALLEST)
        likeness = tf.linalg.matmul(features / length, self.centres, transpose_b=True)
        return tf.maximum(1.0 - tf.reduce_max(likeness, axis=1), 0.0)


def _unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _SMALLEST)
    return np.asarray(rows / lengths, dtype=np.float32)
