"""Makes tiny models with random weights, in the forms that the manifests in examples/ are for.

    python tests/support/usual_models.py FOLDER

writes FOLDER/<name>/1 for each entry of `MAKERS`, and FOLDER/expected.json: the names of its classes, and the
probabilities that it gives for its `pictures` if TensorFlow calls it directly, before any export or adoption.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import model_zoo
import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: Height and width of the input of each model. The pictures have the same size, so nothing is resized.
SIDES = {"mobilenet": 224, "mnist": 28, "cats-dogs": 150, "flowers": 224}
CLASSES = {
    "mobilenet": [f"n{number:08}" for number in range(1000)],
    "mnist": [str(number) for number in range(10)],
    "cats-dogs": ["cat", "dog"],
    "flowers": ["daisy", "rose", "tulip"],
}


def pictures(name: str) -> list[Any]:
    """Pictures for the model of that name, uint8: digits `(28, 28)` for MNIST, else RGB `(side, side, 3)`."""
    side = SIDES[name]
    if name == "mnist":
        return [digit(number) for number in range(10)]
    random = np.random.default_rng(17)
    noise = random.integers(0, 256, (side, side, 3))
    rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    gradient = np.stack([rows, columns, side - rows], axis=-1) * 255 // side
    blocks = np.kron(random.integers(0, 256, (5, 5, 3)), np.ones((side // 5 + 1, side // 5 + 1, 1)))
    return [each.astype(np.uint8) for each in (noise, gradient, blocks[:side, :side])]


def digit(number: int) -> Any:
    """A white digit on black, uint8 `(28, 28)`, like those of MNIST."""
    side = SIDES["mnist"]
    picture = Image.new("L", (side, side))
    font = ImageFont.load_default(24)
    ImageDraw.Draw(picture).text((side / 2, side / 2), str(number), 255, font, anchor="mm")
    return np.asarray(picture)


def png(pixels: Any) -> bytes:
    """The pixels as a PNG file."""
    Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def _settle(model: Any, images: Any, last: str, factor: float) -> None:
    """Give a Keras model with random weights normalised features, and a last layer that tells pictures apart.

    Without the statistics of some images, the features of a deep network fade to nothing, and each picture
    gets the same probabilities.
    """
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    layer = model.get_layer(last)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * factor, bias])


def _mobilenet(folder: Path, pixels: Any) -> Any:
    """A model of keras.applications, with the class file that `decode_predictions` of Keras downloads."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNet(alpha=0.25, weights=None)
    images = keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32))
    _settle(model, images, "conv_preds", 8.0)
    model.export(folder, verbose=False)
    index = {number: [name, f"label {number}"] for number, name in enumerate(CLASSES["mobilenet"])}
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra/imagenet_class_index.json").write_text(json.dumps(index))
    return model(images, training=False).numpy()


def _mnist(folder: Path, pixels: Any) -> Any:
    """A softmax regression with the two signatures of the tutorial's mnist_saved_model.py.

    Its weights are templates of the digits, where the tutorial trains.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    templates = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    # The distance to each template, without the part that is the same for all, and so small that no
    # probability is one.
    weights, bias = 0.2 * templates.T, -0.1 * np.square(templates).sum(axis=1)
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        serialized = v1.placeholder(tf.string, name="tf_example")
        feature = tf.io.FixedLenFeature([templates.shape[1]], tf.float32)
        x = tf.identity(tf.io.parse_example(serialized, {"x": feature})["x"], name="x")
        y = tf.nn.softmax(tf.matmul(x, v1.Variable(weights)) + v1.Variable(bias), name="y")
        values, indices = tf.math.top_k(y, len(CLASSES["mnist"]))
        labels = tf.gather(tf.constant(CLASSES["mnist"]), indices)
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
        return session.run(y, {x: templates})


def _cats_dogs(folder: Path, pixels: Any) -> Any:
    """Blocks as in Xception below one sigmoid, loaded from a Keras file for the export."""
    import keras

    keras.utils.set_random_seed(2)
    values = image = keras.Input((*pixels.shape[1:],))
    for filters in (8, 16, 32):
        values = keras.layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(values)
        values = keras.layers.ReLU()(keras.layers.BatchNormalization()(values))
        values = keras.layers.MaxPooling2D(3, strides=2, padding="same")(values)
    values = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(values))
    model = keras.Model(image, keras.layers.Dense(1, activation="sigmoid", name="dog")(values))
    images = keras.applications.xception.preprocess_input(pixels.astype(np.float32))
    _settle(model, images, "dog", 4.0)
    dogs = model(images, training=False).numpy()
    kernel, bias = model.get_layer("dog").get_weights()
    model.get_layer("dog").set_weights([kernel, bias - np.log(dogs / (1 - dogs)).mean(axis=0)])
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "cats-dogs.keras")
        model.save(file)
        keras.models.load_model(file).export(folder, verbose=False)
    return model_zoo.both(model(images, training=False).numpy())


def _flowers(folder: Path, pixels: Any) -> Any:
    """A SavedModel as onnx2tf writes it, of one picture in a call, with logits; adopted as in onnx.yaml."""
    with tempfile.TemporaryDirectory() as directory:
        logits = _converted(Path(directory, "converted"), pixels)
        Path(directory, "classes.txt").write_text("\n".join(CLASSES["flowers"]))
        arguments = "adopt converted --classes classes.txt --preprocess torch --name flowers --version 1"
        command = [sys.executable, "-m", "imageclassifier_training", *arguments.split()]
        subprocess.run([*command, "--out", str(folder.parents[1].resolve())], cwd=directory, check=True)
    return model_zoo.softmax(logits)


def _converted(folder: Path, pixels: Any) -> Any:
    """Write the converted model; returns its logits for pictures that are normalised as in PyTorch."""
    import tensorflow as tf

    random = np.random.default_rng(3)
    module = tf.Module()
    module.kernel = tf.Variable(random.normal(0, 0.3, (5, 5, 3, 16)).astype(np.float32))
    module.weights = tf.Variable(random.normal(0, 0.5, (16, len(CLASSES["flowers"]))).astype(np.float32))
    module.bias = tf.Variable(tf.zeros(len(CLASSES["flowers"])))

    spec = tf.TensorSpec((1, *pixels.shape[1:]), tf.float32, name="image")

    def run(image: Any) -> Any:
        features = tf.nn.relu(tf.nn.conv2d(image, module.kernel, 4, "VALID"))
        return {"logits": tf.matmul(tf.reduce_mean(features, (1, 2)), module.weights) + module.bias}

    def logits() -> Any:
        return np.concatenate([run(image[None])["logits"].numpy() for image in images])

    images = model_zoo.applications("torch")(pixels)
    module.bias.assign(-logits().mean(axis=0))  # so that different pictures have different labels
    module.run = tf.function(run, input_signature=[spec])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.run})
    return logits()


MAKERS: Mapping[str, Callable[[Path, Any], Any]] = {
    "mobilenet": _mobilenet,
    "mnist": _mnist,
    "cats-dogs": _cats_dogs,
    "flowers": _flowers,
}


def main(folder: Path) -> None:
    """Write all models and what they give."""
    expected = {}
    for name, make in MAKERS.items():
        rows = np.asarray(make(folder / name / "1", np.stack(pictures(name))), np.float64)
        expected[name] = {"classes": CLASSES[name], "probabilities": rows.tolist()}
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
