"""The linear head: softmax over pooled features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Head:
    """`softmax(features @ kernel + bias)`: kernel `(features, classes)` and bias `(classes,)`, float32."""

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute probabilities `(n, classes)` from features `(n, features)`."""
        return softmax(features.astype(np.float64) @ self.kernel + self.bias)

    def with_temperature(self, temperature: float) -> Head:
        """Divide the logits by a temperature: the same predictions, with calibrated probabilities."""
        return Head(
            (self.kernel / temperature).astype(np.float32), (self.bias / temperature).astype(np.float32)
        )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute probabilities `(n, classes)` from logits of the same shape."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))
