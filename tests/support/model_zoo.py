"""Makes a zoo of tiny SavedModels as people export them, with the spec that serves each one.

    python tests/support/model_zoo.py FOLDER

writes FOLDER/<name>/1 for each entry and FOLDER/expected.json: the probabilities that each model gives for
`pictures()` if TensorFlow calls it directly. One that cannot be served has a part of its refusal instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HEIGHT, WIDTH = 12, 10
SIZE = {"height": HEIGHT, "width": WIDTH}
Make = Callable[[Path], Callable[[Any], Any]]


def pictures() -> list[Any]:
    """RGB pictures of the size of the models' inputs: noise, a gradient and a dark one."""
    noise = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3))
    gradient = np.linspace(0, 255, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3)
    return [each.astype(np.uint8) for each in (noise, gradient, noise // 8)]


@dataclass(frozen=True)
class Entry:
    """A model: what writes it, its direct input for pixels `(n, h, w, 3)`, and its spec or refusal."""

    name: str
    make: Make
    prepare: Callable[[Any], Any] = lambda pixels: pixels.astype(np.float32)
    activation: Callable[[Any], Any] = lambda outputs: outputs
    spec: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 3
    #: The text of a class file; without one the spec lists the classes.
    class_file: str = ""
    #: The path and the text of a class file in the directory of the model.
    model_file: tuple[str, str] | None = None
    refusal: str = ""
    #: The number of pictures in a call: 0 for any.
    batch: int = 0

    def full_spec(self) -> dict[str, Any]:
        """The spec with its classes."""
        if self.model_file:
            return {"classesFrom": {"modelFile": {}}, **self.spec}
        if self.class_file:
            return {"classesFrom": {"configMap": {"name": "labels", "key": "labels.txt"}}, **self.spec}
        return {"classes": [{"name": f"class {n}"} for n in range(self.classes)], **self.spec}


def softmax(values: Any) -> Any:
    """The softmax over the last axis."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(values: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + np.exp(-values))


def both(values: Any) -> Any:
    """The probabilities of both classes from that of the second."""
    return np.concatenate([1 - values, values], axis=-1)


def gray(pixels: Any) -> Any:
    """Pillow's gray pictures `(n, h, w, 1)`."""
    from PIL import Image

    return np.stack([np.asarray(Image.fromarray(each).convert("L"))[..., None] for each in pixels])


def floats(pixels: Any) -> Any:
    """The pixels as float32."""
    return pixels.astype(np.float32)


def applications(mode: str) -> Callable[[Any], Any]:
    """The preprocessing of keras.applications itself."""

    def prepare(pixels: Any) -> Any:
        from keras.src.applications.imagenet_utils import preprocess_input

        return preprocess_input(pixels.astype(np.float32), data_format="channels_last", mode=mode)

    return prepare


def files(pixels: Any) -> Any:
    """PNG files of the pixels."""
    import io

    from PIL import Image

    result = []
    for each in pixels:
        Image.fromarray(each).save(buffer := io.BytesIO(), "PNG")
        result.append(buffer.getvalue())
    return np.array(result, dtype=object)


def network(values: Any, classes: int, scale: float = 1 / 64) -> Any:
    """Logits that depend on every channel and on the place: values `(n, h, w, c)`."""
    import tensorflow as tf

    values = tf.cast(values, tf.float32) * scale
    depth = values.shape[-1] or 3
    weights = np.random.default_rng(classes).normal(0, 1.5, (2 * depth, classes)).astype(np.float32)
    halves = [tf.reduce_mean(part, (1, 2)) for part in tf.split(values, 2, axis=1)]
    return tf.matmul(tf.concat(halves, 1), weights)


def saved(
    shape: tuple[int | None, ...] | None,
    dtype: str = "float32",
    *,
    to_nhwc: Callable[[Any], Any] = lambda values: values,
    outputs: Callable[[Any], dict[str, Any]] | None = None,
    classes: int = 3,
    scale: float = 1 / 64,
    signature: str = "serving_default",
    others: tuple[str, ...] = (),
) -> Make:
    """A model of tf.saved_model.save. `outputs` computes its outputs from the logits."""

    def make(folder: Path) -> Callable[[Any], Any]:
        import tensorflow as tf

        def run(images: Any) -> dict[str, Any]:
            logits = network(to_nhwc(images), classes, scale)
            return {"scores": tf.nn.softmax(logits)} if outputs is None else outputs(logits)

        module = tf.Module()
        spec = tf.TensorSpec(shape, getattr(tf, dtype), name="images")
        module.run = tf.function(run, input_signature=[spec])
        module.other = tf.function(
            lambda x: {"y": x * 2}, input_signature=[tf.TensorSpec([None], tf.float32)]
        )
        signatures = {signature: module.run, **dict.fromkeys(others, module.other)}
        tf.saved_model.save(module, str(folder), signatures=signatures)

        def call(values: Any) -> Any:
            found = module.run(tf.constant(values, getattr(tf, dtype)))
            return next(value for key, value in found.items() if key.startswith("scores")).numpy()

        return call

    return make


def keras_export(build: Callable[[Any], Any]) -> Make:
    """A model of keras.Model.export. `build` gets the module keras."""

    def make(folder: Path) -> Callable[[Any], Any]:
        import keras

        keras.utils.set_random_seed(5)
        model = build(keras)
        model.export(folder, verbose=False)
        return lambda values: np.asarray(model(values))

    return make


def dense(shape: tuple[int | None, ...], units: int, activation: str | None, dtype: str = "float32") -> Make:
    """A Keras model: rescaling, all pixels or their mean, one dense layer."""

    def build(keras: Any) -> Any:
        image = keras.Input(shape, dtype=dtype)
        scaled = keras.layers.Rescaling(1 / 64)(image)
        is_any_size = None in shape
        flat = keras.layers.GlobalAveragePooling2D() if is_any_size else keras.layers.Flatten()
        return keras.Model(image, keras.layers.Dense(units, activation)(flat(scaled)))

    return keras_export(build)


def two_inputs(keras: Any) -> Any:
    """A Keras model that needs more than a picture."""
    image, age = keras.Input((HEIGHT, WIDTH, 3), name="image"), keras.Input((1,), name="age")
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(image), age])
    return keras.Model([image, age], keras.layers.Dense(3, "softmax")(joined))


def tf1(method: str, dtype: str) -> Make:
    """A model of the SavedModelBuilder of TensorFlow 1. tf.Example records are not parsed, only declared."""

    def make(folder: Path) -> Callable[[Any], Any]:
        import tensorflow as tf

        v1 = tf.compat.v1
        graph = tf.Graph()
        with graph.as_default(), v1.Session(graph=graph) as session:
            shape = [None] if dtype == "string" else [None, HEIGHT, WIDTH, 3]
            inputs = v1.placeholder(getattr(tf, dtype), shape, name="inputs")
            values = tf.ones([1, HEIGHT, WIDTH, 3]) if dtype == "string" else inputs
            scores = tf.nn.softmax(network(values, 3))
            tensors = [v1.saved_model.build_tensor_info(each) for each in (inputs, scores)]
            signature = v1.saved_model.build_signature_def(
                {"inputs": tensors[0]}, {"scores": tensors[1]}, f"tensorflow/serving/{method}"
            )
            builder = v1.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                session, ["serve"], signature_def_map={"serving_default": signature}
            )
            builder.save()

        def call(values: Any) -> Any:
            with v1.Session(graph=graph) as session:
                return session.run(scores, {inputs: values})

        return call

    return make


def decoded(values: Any) -> Any:
    """The pictures in a batch of files, as a model decodes and resizes them in its graph."""
    import tensorflow as tf

    def one(file: Any) -> Any:
        picture = tf.image.decode_jpeg(file, channels=3)
        return tf.ensure_shape(tf.image.resize(picture, (HEIGHT, WIDTH)), (HEIGHT, WIDTH, 3))

    return tf.map_fn(one, tf.reshape(values, [-1]), fn_output_signature=tf.float32)


def with_index(logits: Any) -> dict[str, Any]:
    """Scores, the index of the best class, and its label."""
    import tensorflow as tf

    best = tf.argmax(logits, 1)
    label = tf.gather(tf.constant(["a", "b", "c"]), best)
    return {"classes": best, "label": label, "scores": tf.nn.softmax(logits)}


def only_index(logits: Any) -> dict[str, Any]:
    """The index of the best class."""
    import tensorflow as tf

    return {"scores_index": tf.argmax(logits, 1)}


def twice(logits: Any) -> dict[str, Any]:
    """Scores and logits."""
    import tensorflow as tf

    return {"scores": tf.nn.softmax(logits), "logits": logits}


def with_distance(logits: Any) -> dict[str, Any]:
    """Scores, and one value for each picture."""
    import tensorflow as tf

    return {"scores": tf.nn.softmax(logits), "distance": tf.reduce_max(logits, axis=1)}


def scores(dtype: str, *, axes: int = 0) -> Callable[[Any], dict[str, Any]]:
    """Scores of a type, with more axes."""

    def run(logits: Any) -> dict[str, Any]:
        import tensorflow as tf

        values = tf.cast(tf.nn.softmax(logits), getattr(tf, dtype))
        for _ in range(axes):
            values = tf.expand_dims(values, 1)
        return {"scores": values}

    return run


def multi_label(logits: Any) -> dict[str, Any]:
    """A probability for each class, on its own."""
    import tensorflow as tf

    return {"scores": tf.sigmoid(logits)}


def raw(logits: Any) -> dict[str, Any]:
    """Logits."""
    return {"scores": logits}


def nchw(values: Any) -> Any:
    """The axes of NCHW in the order of NHWC, in TensorFlow."""
    import tensorflow as tf

    return tf.transpose(values, (0, 2, 3, 1))


def leading(values: Any) -> Any:
    """A batch of one."""
    return values[None]


def flat(depth: int) -> Callable[[Any], Any]:
    """Flat pixels as pictures, in TensorFlow."""

    def reshape(values: Any) -> Any:
        import tensorflow as tf

        return tf.reshape(values, (-1, HEIGHT, WIDTH, depth))

    return reshape


def known(values: Any) -> Any:
    """Values of unknown shape, with the one they have."""
    import tensorflow as tf

    return tf.ensure_shape(values, (None, HEIGHT, WIDTH, 3))


NHWC = (None, HEIGHT, WIDTH, 3)
LOGITS = {"output": {"activation": "softmax"}}
MEANS = {"mean": ["120", "110", "100"], "std": ["50", "60", "70.5"]}

ENTRIES: tuple[Entry, ...] = (
    # Keras 3 export
    Entry("keras-classes-only", dense((HEIGHT, WIDTH, 3), 3, "softmax")),
    Entry("keras-uint8", dense((HEIGHT, WIDTH, 3), 3, "softmax", "uint8"), prepare=lambda p: p),
    Entry(
        "keras-one-channel", dense((HEIGHT, WIDTH, 1), 10, "softmax"), lambda p: floats(gray(p)), classes=10
    ),
    Entry(
        "keras-no-channel-axis",
        dense((HEIGHT, WIDTH), 10, "softmax"),
        lambda p: floats(gray(p))[..., 0],
        classes=10,
    ),
    Entry("keras-logits", dense((HEIGHT, WIDTH, 3), 3, None), activation=softmax, spec=LOGITS),
    Entry("keras-one-column", dense((HEIGHT, WIDTH, 3), 1, "sigmoid"), activation=both, classes=2),
    Entry(
        "keras-sigmoid-as-before",
        dense((HEIGHT, WIDTH, 3), 1, "sigmoid"),
        activation=both,
        spec={"output": {"activation": "sigmoid"}},
        classes=2,
    ),
    Entry(
        "keras-one-logit",
        dense((HEIGHT, WIDTH, 3), 1, None),
        activation=lambda v: both(sigmoid(v)),
        spec={"output": {"activation": "sigmoid-on-logits"}},
        classes=2,
    ),
    Entry("keras-any-size", dense((None, None, 3), 3, "softmax"), spec={"input": SIZE}),
    Entry(
        "keras-any-size-no-size",
        dense((None, None, 3), 3, "softmax"),
        refusal="takes pictures of any size. Set spec.input.height and spec.input.width",
    ),
    Entry(
        "keras-two-inputs",
        keras_export(two_inputs),
        refusal="has 2 inputs: 'age' (float32 (?, 1)) and 'image'",
    ),
    # tf.saved_model.save: types
    Entry("uint8", saved(NHWC, "uint8"), prepare=lambda p: p),
    Entry("int32", saved(NHWC, "int32"), prepare=lambda p: p),
    Entry("float16", saved(NHWC, "float16"), prepare=lambda p: p.astype(np.float16)),
    Entry("bfloat16", saved(NHWC, "bfloat16")),
    Entry("float64", saved(NHWC, "float64"), prepare=lambda p: p.astype(np.float64)),
    Entry("int64", saved(NHWC, "int64"), refusal="has a type that the gateway cannot send"),
    Entry(
        "wrong-dtype",
        saved(NHWC),
        spec={"input": {"dtype": "uint8"}},
        refusal="is not of the type uint8 in spec.input.dtype. Remove spec.input.dtype",
    ),
    Entry("files", saved((None,), "string", to_nhwc=decoded), files, spec={"input": SIZE}),
    Entry(
        "files-in-a-column",
        saved((None, 1), "string", to_nhwc=decoded),
        lambda p: files(p)[:, None],
        spec={"input": {**SIZE, "dtype": "bytes"}},
    ),
    Entry(
        "one-file",
        saved((), "string", to_nhwc=decoded),
        lambda p: files(p)[0],
        spec={"input": SIZE},
        batch=1,
    ),
    Entry(
        "files-no-size",
        saved((None,), "string", to_nhwc=decoded),
        refusal="takes picture files. Set spec.input",
    ),
    # values
    Entry("mode-tf", saved(NHWC, scale=1), applications("tf"), spec={"input": {"preprocess": "tf"}}),
    Entry("mode-torch", saved(NHWC, scale=1), applications("torch"), spec={"input": {"preprocess": "torch"}}),
    Entry("mode-caffe", saved(NHWC), applications("caffe"), spec={"input": {"preprocess": "caffe"}}),
    Entry("mode-none", saved(NHWC), spec={"input": {"preprocess": "none"}}),
    Entry(
        "scale-in-16-bits",
        saved(NHWC, "float16", scale=1),
        lambda p: (p.astype(np.float32) * np.float32(1 / 255)).astype(np.float16),
        spec={"input": {"rescaling": {"scale": "1/255"}}},
    ),
    Entry(
        "mean-and-std",
        saved(NHWC, scale=1),
        lambda p: (floats(p) - np.array([120, 110, 100], np.float32)) / np.array([50, 60, 70.5], np.float32),
        spec={"input": {"rescaling": MEANS}},
    ),
    Entry("bgr", saved(NHWC), lambda p: floats(p[..., ::-1]), spec={"input": {"channels": "bgr"}}),
    Entry(
        "scaled-uint8",
        saved(NHWC, "uint8"),
        spec={"input": {"preprocess": "tf"}},
        refusal="takes no floating-point numbers, so its pixels cannot be rescaled",
    ),
    # layouts
    Entry(
        "channels-first",
        saved((None, 3, HEIGHT, WIDTH), to_nhwc=nchw),
        lambda p: floats(p).transpose(0, 3, 1, 2),
    ),
    Entry(
        "channels-first-any-size",
        saved((None, 3, None, None), to_nhwc=lambda v: known(nchw(v))),
        lambda p: floats(p).transpose(0, 3, 1, 2),
        spec={"input": SIZE},
    ),
    Entry(
        "channels-first-one-channel",
        saved((None, 1, HEIGHT, WIDTH), to_nhwc=nchw),
        lambda p: floats(gray(p)).transpose(0, 3, 1, 2),
    ),
    Entry("no-batch-axis", saved((HEIGHT, WIDTH, 3), to_nhwc=leading), lambda p: floats(p[0]), batch=1),
    Entry(
        "no-batch-axis-gray",
        saved((HEIGHT, WIDTH), to_nhwc=lambda v: v[None, ..., None]),
        lambda p: floats(gray(p))[0, ..., 0],
        batch=1,
    ),
    Entry(
        "one-axis",
        saved((None, HEIGHT * WIDTH * 3), to_nhwc=flat(3)),
        lambda p: floats(p).reshape(len(p), -1),
        spec={"input": SIZE},
    ),
    Entry(
        "one-axis-gray",
        saved((None, HEIGHT * WIDTH), to_nhwc=flat(1)),
        lambda p: floats(gray(p)).reshape(len(p), -1),
        spec={"input": SIZE},
    ),
    Entry(
        "one-axis-no-size",
        saved((None, HEIGHT * WIDTH * 3), to_nhwc=flat(3)),
        refusal="set spec.input.height",
    ),
    Entry("unknown-shape", saved(None, to_nhwc=known), spec={"input": SIZE}),
    Entry(
        "unknown-shape-one-axis-gray",
        saved(None, to_nhwc=flat(1)),
        lambda p: floats(gray(p)).reshape(len(p), -1),
        spec={"input": {**SIZE, "layout": "NF", "channels": "gray"}},
    ),
    Entry(
        "unknown-shape-no-batch-axis",
        saved(None, to_nhwc=lambda v: known(leading(v))),
        lambda p: floats(p[0]),
        spec={"input": {**SIZE, "layout": "HWC"}},
        batch=1,
    ),
    Entry(
        "four-channels", saved((None, HEIGHT, WIDTH, 4)), refusal="does not take pictures: the gateway sends"
    ),
    Entry(
        "wrong-size",
        saved(NHWC),
        spec={"input": {"height": 24, "width": 24}},
        refusal="takes pictures of 12 x 10 pixels, but spec.input says 24 x 24",
    ),
    Entry(
        "wrong-channels",
        saved((None, HEIGHT, WIDTH, 1)),
        spec={"input": {"channels": "rgb"}},
        refusal="does not agree with spec.input.channels, which is rgb",
    ),
    # batches
    Entry("batch-of-one", saved((1, HEIGHT, WIDTH, 3)), batch=1),
    Entry("batch-of-two", saved((2, HEIGHT, WIDTH, 3)), batch=2),
    Entry(
        "batch-of-sixteen",
        saved((16, 3, HEIGHT, WIDTH), to_nhwc=nchw),
        lambda p: floats(p).transpose(0, 3, 1, 2),
        batch=16,
    ),
    # signatures and outputs
    Entry("other-signature", saved(NHWC, signature="predict_images")),
    Entry(
        "chosen-signature",
        saved(NHWC, signature="classify", others=("double",)),
        spec={"input": {"signature": "classify"}},
    ),
    Entry(
        "several-signatures",
        saved(NHWC, signature="classify", others=("double",)),
        refusal="but the signatures 'classify' and 'double'. Set spec.input.signature",
    ),
    Entry(
        "missing-signature",
        saved(NHWC),
        spec={"input": {"signature": "classify"}},
        refusal="has no signature 'classify'. Set spec.input.signature to one that it has: 'serving_default'",
    ),
    Entry(
        "missing-tensor",
        saved(NHWC),
        spec={"input": {"tensor": "x"}},
        refusal="has no input 'x'. Its inputs are 'images' (float32 (?, 12, 10, 3))",
    ),
    Entry("index-and-label", saved(NHWC, outputs=with_index)),
    Entry(
        "only-index",
        saved(NHWC, outputs=only_index),
        refusal="returns no probabilities, only 'scores_index' (int64",
    ),
    Entry("scores-and-logits", saved(NHWC, outputs=twice), refusal="Several outputs of the signature"),
    Entry("chosen-output", saved(NHWC, outputs=twice), spec={"output": {"tensor": "scores"}}),
    Entry("a-value-beside-two-scores", saved(NHWC, classes=2, outputs=with_distance), classes=2),
    Entry("logits", saved(NHWC, outputs=raw), activation=softmax, spec=LOGITS),
    Entry("multi-label", saved(NHWC, outputs=multi_label), spec={"output": {"activation": "sigmoid"}}),
    Entry("output-axes", saved(NHWC, outputs=scores("float32", axes=2)), activation=lambda v: v[:, 0, 0]),
    Entry("float16-output", saved(NHWC, outputs=scores("float16"))),
    Entry("bfloat16-output", saved(NHWC, outputs=scores("bfloat16"))),
    Entry("float64-output", saved(NHWC, outputs=scores("float64"))),
    Entry("thousand-classes", saved(NHWC, classes=1000), classes=1000),
    Entry(
        "background-class",
        saved(NHWC, classes=1001),
        classes=1000,
        refusal="a background class, list that one",
    ),
    Entry(
        "background-class-beside-a-file",
        saved(NHWC, classes=801),
        class_file="\n".join(f"label {n // 2}" for n in range(800)),
    ),
    Entry(
        "class-file-with-another-length",
        saved(NHWC, classes=5),
        class_file="cat\ndog\ncow",
        refusal="key labels.txt of ConfigMap labels has 3 classes, but the model has 5 outputs",
    ),
    Entry(
        "ten-thousand-classes",
        saved(NHWC, classes=10_000),
        class_file="\n".join(f"{n:05} a label that is not short" for n in range(10_000)),
    ),
    Entry(
        "class-file-in-the-model",
        saved(NHWC, classes=1001),
        model_file=(
            "assets.extra/imagenet_class_index.json",
            json.dumps({str(n): [f"n{n:08}", f"label {n}"] for n in range(1000)}),
        ),
    ),
    Entry(
        "class-file-in-the-model-with-another-length",
        dense((HEIGHT, WIDTH, 3), 5, "softmax"),
        model_file=("labels.txt", "cat\ndog\ncow"),
        refusal="labels.txt of the model has 3 classes, but the model has 5 outputs",
    ),
    # TensorFlow 1
    Entry("tf1-builder", tf1("predict", "float32")),
    Entry("tf1-examples", tf1("classify", "string"), refusal="takes tf.Example records and not pictures"),
)


def expected(entry: Entry, call: Callable[[Any], Any]) -> list[list[float]]:
    """The probabilities of a model that is called directly, for each of `pictures()`."""
    rows = []
    for picture in pictures():
        pixels = np.stack([picture] * max(1, entry.batch))
        outputs = np.asarray(call(entry.prepare(pixels)), dtype=np.float64)
        if outputs.ndim == 1:
            outputs = outputs[None]
        rows.append(entry.activation(outputs)[0].tolist())
    return rows


def add_class_file(folder: Path, name: str, path: str, text: str) -> None:
    """Write the class file of a model, and what its init container makes of it."""
    from imageclassifier_gateway.model_files.__main__ import main as prepare

    file = folder / name / "1" / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    out = folder / f"{name}.classes"
    assert prepare(["classes", "--base", str(folder / name), "--version", "1", "--out", str(out)]) == 0


def main(folder: Path) -> None:
    """Write all models and their probabilities."""
    answers = {}
    for entry in ENTRIES:
        call = entry.make(folder / entry.name / "1")
        if entry.model_file is not None:
            add_class_file(folder, entry.name, *entry.model_file)
        if not entry.refusal:
            answers[entry.name] = expected(entry, call)
    (folder / "expected.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
