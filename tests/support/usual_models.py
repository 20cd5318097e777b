"""Makes small models as in the examples: the MNIST model of a tutorial, and an adopted Keras file.

    python tests/support/usual_models.py FOLDER

writes FOLDER/mnist/1 and FOLDER/flowers/1. `digit` draws a picture that the first one knows.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 28
#: The classes of the Keras model, and the colour that each one is.
FLOWERS = {"daisy": (235, 235, 225), "rose": (190, 30, 60), "violet": (110, 60, 190)}


def digit(number: int) -> Any:
    """A white digit on black, uint8 `(28, 28)`, like those of MNIST."""
    picture = Image.new("L", (SIDE, SIDE))
    font = ImageFont.load_default(24)
    ImageDraw.Draw(picture).text((SIDE / 2, SIDE / 2), str(number), 255, font, anchor="mm")
    return np.asarray(picture)


def png(pixels: Any) -> bytes:
    """The pixels as a PNG file."""
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def mnist(folder: Path) -> None:
    """Write a softmax regression as the tutorial's mnist_saved_model.py does, with its two signatures.

    The weights are templates of the digits, where the tutorial trains.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    templates = np.stack([digit(number).reshape(-1) for number in range(10)]).astype(np.float32) / 255
    # The distance to each template, without the part that is the same for all.
    weights, bias = 2 * templates.T, -np.square(templates).sum(axis=1)
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        serialized = v1.placeholder(tf.string, name="tf_example")
        parsed = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([SIDE * SIDE], tf.float32)})
        x = tf.identity(parsed["x"], name="x")
        y = tf.nn.softmax(tf.matmul(x, v1.Variable(weights)) + v1.Variable(bias), name="y")
        values, indices = tf.math.top_k(y, 10)
        labels = tf.gather(tf.constant([str(number) for number in range(10)]), indices)
        session.run(v1.global_variables_initializer())
        info, define = v1.saved_model.build_tensor_info, v1.saved_model.build_signature_def
        signatures = {
            "predict_images": define({"images": info(x)}, {"scores": info(y)}, "tensorflow/serving/predict"),
            "serving_default": define(
                {"inputs": info(serialized)},
                {"classes": info(labels), "scores": info(values)},
                "tensorflow/serving/classify",
            ),
        }
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()


def flowers_keras(file: Path) -> None:
    """Write a classifier of colours as a Keras file: pixels from -1 to 1, batch normalisation, logits."""
    import keras

    image = keras.Input((32, 32, 3))
    pooled = keras.layers.AveragePooling2D(2)
    convolution = keras.layers.Conv2D(3, 1, use_bias=False)
    norm, dense = keras.layers.BatchNormalization(epsilon=0.0), keras.layers.Dense(len(FLOWERS))
    values = norm(convolution(pooled(image)))
    model = keras.Model(image, dense(keras.layers.GlobalAveragePooling2D()(values)))
    convolution.set_weights([np.eye(3)[None, None]])
    norm.set_weights([np.full(3, value) for value in (2.0, 0.0, 0.0, 4.0)])
    centres = np.array(list(FLOWERS.values())) / 127.5 - 1
    dense.set_weights([12 * centres.T, -6 * np.square(centres).sum(axis=1)])
    model.save(file)


def adopted_flowers(out: Path) -> None:
    """Adopt that file by the command, as version 1 of `flowers` in a folder."""
    with tempfile.TemporaryDirectory() as directory:
        file, classes = Path(directory, "flowers.keras"), Path(directory, "classes.txt")
        flowers_keras(file)
        classes.write_text("\n".join(FLOWERS))
        arguments = ["adopt", str(file), "--classes", str(classes), "--preprocess", "tf"]
        arguments += ["--out", str(out), "--replace"]
        subprocess.run(
            [sys.executable, "-m", "imageclassifier_training", *arguments, "--version", "1"], check=True
        )


if __name__ == "__main__":
    mnist(Path(sys.argv[1], "mnist", "1"))
    adopted_flowers(Path(sys.argv[1]))
