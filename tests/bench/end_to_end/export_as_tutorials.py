"""Exports a training as tutorials do: a .keras file, and a SavedModel that takes float32 pixels from -1 to 1.

python export_as_tutorials.py TRAINING OUT        writes OUT/model.keras and OUT/saved/1
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
    spec = tf.TensorSpec((None, wanted.height, wanted.width, 3), tf.float32, name="pixels")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda pixels: {"probabilities": model(pixels)}, input_signature=[spec])
    archive.write_out(str(out / "saved" / "1"))


if __name__ == "__main__":
    main()
