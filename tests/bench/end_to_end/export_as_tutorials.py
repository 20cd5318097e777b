"""Exports a training as tutorials do: a .keras file, and a SavedModel that takes float32 pixels from -1 to 1.

python export_as_tutorials.py TRAINING OUT        writes OUT/model.keras, OUT/saved/1 and OUT/xception/1

The last is Xception, the usual choice of tutorials, for the same pixels and classes. Its weights are random:
how long it takes does not depend on them, and its pretrained weights cannot be fetched everywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import tensorflow as tf

from imageclassifier_training.networks import learned


def main() -> None:
    training, out = learned.load(Path(sys.argv[1])), Path(sys.argv[2])
    wanted = training.architecture.input
    pixels = keras.Input((wanted.height, wanted.width, 3), name="pixels")
    scaled = keras.layers.Rescaling(127.5, offset=127.5)(pixels)
    model = keras.Model(pixels, training.network().model(scaled))
    out.mkdir(parents=True)
    model.save(out / "model.keras")
    export(model, out / "saved" / "1")
    backbone = keras.applications.Xception(
        weights=None, include_top=False, pooling="avg", input_shape=pixels.shape[1:]
    )
    classes = keras.layers.Dense(model.output_shape[-1], activation="softmax")
    export(keras.Model(pixels, classes(backbone(pixels))), out / "xception" / "1")


def export(model: keras.Model, out: Path) -> None:
    """Write a SavedModel as tutorials do."""
    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="pixels")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda pixels: {"probabilities": model(pixels)}, input_signature=[spec])
    archive.write_out(str(out))


if __name__ == "__main__":
    main()
