"""Mixed precision: layers that compute in bfloat16, and keep their weights in float32.

bfloat16 has the range of float32, so the loss needs no scaling, as it would with float16. GPUs since NVIDIA's
Ampere (2020) and CPUs with AMX multiply such numbers several times faster than those of float32.
"""

from __future__ import annotations

from typing import Any

import keras

_POLICY = "mixed_bfloat16"


def in_bfloat16(model: keras.Model) -> keras.Model:
    """A copy of a model whose layers compute in bfloat16. Its weights are float32, with the same values."""

    def copy(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": _POLICY})

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied
