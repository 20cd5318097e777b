"""A model from elsewhere becomes a version that describes itself and gives what the model gave."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import model_zoo
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_operator.api.pixel_values import PREPROCESS
from imageclassifier_training.adopting import adopt, keras_models, loading, pictures, scaling
from imageclassifier_training.adopting.options import Adoption
from imageclassifier_training.adopting.pictures import Files
from imageclassifier_training.commands._arguments import out as console
from imageclassifier_training.errors import ModelError, TrainingError
from imageclassifier_training.exporting import golden, saved_model
from imageclassifier_training.exporting.export import Place

Run = Callable[..., int]
#: The classes of the model of `brightness_model`, and a gray value of each.
BRIGHTNESS = {"a dark": 30, "b dim": 95, "c light": 160, "d bright": 225}


@pytest.fixture(scope="module")
def brightness_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images for each class of `brightness_model`, in folders by class."""
    folder = tmp_path_factory.mktemp("brightness")
    random = np.random.default_rng(0)
    for name, value in BRIGHTNESS.items():
        (folder / name).mkdir()
        for index in range(6):
            pixels = np.clip(random.normal(value, 8, (30, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def brightness_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Keras file as many are shared: pixels were scaled from -1 to 1 outside of it, a backbone has batch
    normalisation, and it returns logits."""
    keras.utils.set_random_seed(1)
    image = keras.Input((24, 32, 3))
    plain = keras.layers.Conv2D(3, 1, use_bias=False)
    backbone_in = keras.Input((24, 32, 3))
    norm = keras.layers.BatchNormalization(epsilon=0.0)
    backbone = keras.Model(backbone_in, norm(plain(backbone_in)))
    plain.set_weights([np.eye(3, dtype=np.float32)[None, None]])
    norm.set_weights([np.full(3, v, np.float32) for v in (2.0, 0.0, 0.0, 4.0)])
    head = keras.layers.Dense(4)
    model = keras.Model(image, head(keras.layers.GlobalAveragePooling2D()(backbone(image))))
    centres = np.array([-0.75, -0.25, 0.25, 0.75], np.float32)
    head.set_weights([np.tile(40 * centres / 3, (3, 1)), -20 * centres**2])
    file = tmp_path_factory.mktemp("model") / "brightness.keras"
    model.save(file)
    return file


@pytest.fixture(scope="module")
def adopted(
    brightness_model: Path, brightness_images: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder of the adopted model, and what the command printed."""
    out = tmp_path_factory.mktemp("models")
    with console.capture() as printed:
        assert run("adopt", brightness_model, "--images", brightness_images, "--out", out) == 0
    return out / "brightness" / "1", printed.get()


def test_the_scaling_the_classes_and_the_activation_are_found_out_and_the_reasons_printed(
    adopted: tuple[Path, str],
) -> None:
    _, printed = adopted
    assert "a dark, b dim, c light, d bright, the folders of" in printed
    assert "preprocess tf, because it suits the 24 labelled images" in printed
    assert "preprocess tf 100 %" in printed
    assert "logits: a softmax is added" in printed
    assert "It is right for 100.0 % of 24 labelled images." in printed
    assert "Folded 1 batch normalisation into" in printed


def test_an_adopted_model_describes_itself_and_gives_what_the_original_gives(
    adopted: tuple[Path, str], brightness_model: Path, brightness_images: Path
) -> None:
    model, original = saved_model.load(adopted[0]), keras.models.load_model(brightness_model)
    assert model.contract.class_names == tuple(BRIGHTNESS)
    assert model.contract.input == ModelInput(24, 32)
    assert model.contract.metrics["adoption"]["accuracy"] == 1.0
    files = sorted(brightness_images.rglob("*.png"))
    pixels = np.stack([prepare(file.read_bytes(), model.contract.input) for file in files])
    expected = tf.nn.softmax(original(pixels / np.float32(127.5) - 1)).numpy()
    np.testing.assert_allclose(model.probabilities(pixels), expected, atol=1e-5)
    assert (adopted[0] / saved_model.WARMUP_FILE).is_file()
    assert len(model.golden.cases) >= 3


SERVED = (
    "keras-one-logit", "uint8", "mode-caffe", "bgr", "one-axis-gray", "batch-of-two", "index-and-label",
    "tf1-builder",
)  # fmt: skip


def adoption(entry: model_zoo.Entry, folder: Path) -> Adoption:
    """The options that say the same as the spec of a model of the zoo."""
    pixels, output = dict(entry.spec.get("input", {})), entry.spec.get("output", {})
    chosen = scaling.MODES[pixels["preprocess"]] if "preprocess" in pixels else None
    if rescaling := pixels.get("rescaling"):
        mean, std = ([float(each) for each in rescaling[key]] for key in ("mean", "std"))
        chosen = scaling.custom(1.0, 0.0, mean, std)
    labels = folder / "labels.txt"
    labels.write_text(entry.class_file or "\n".join(f"class {n}" for n in range(entry.classes)))
    return Adoption(
        classes=labels,
        scaling=chosen,
        size=(pixels["height"], pixels["width"]) if "height" in pixels else None,
        channels=pixels.get("channels"),
        signature=pixels.get("signature"),
        input_tensor=pixels.get("tensor"),
        output_tensor=output.get("tensor"),
    )


def entry_named(name: str) -> model_zoo.Entry:
    [entry] = [each for each in model_zoo.ENTRIES if each.name == name]
    return entry


@pytest.mark.parametrize("name", SERVED)
def test_each_kind_of_saved_model_gives_the_probabilities_of_the_model_called_directly(
    name: str, tmp_path: Path
) -> None:
    entry = entry_named(name)
    call = entry.make(tmp_path / "model")
    wanted = adoption(entry, tmp_path)
    found = adopt.examine(loading.load(str(tmp_path / "model"), None, None), wanted, "zoo")
    cases = golden.make(found.contract.input, lambda pixels: np.zeros((len(pixels), 2)))
    saved_model.write(tmp_path / "out", found.served, found.contract, cases)
    model = saved_model.load(tmp_path / "out")
    pixels = np.stack(list(model_zoo.pictures()))
    expected = model_zoo.expected(entry, call)
    for some in (slice(None), slice(1)):
        np.testing.assert_allclose(model.probabilities(pixels[some]), expected[some], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("keras-any-size-no-size", "takes pictures of any size. Set --size to"),
        ("keras-two-inputs", "has 2 inputs: 'age'"),
        ("four-channels", "does not take pictures, which are (pictures, height, width, channels)"),
        ("wrong-size", "takes pictures of 12 x 10 pixels, but --size says 24 x 24. Remove --size."),
        ("scaled-uint8", "Remove --preprocess, --scale, --offset, --mean and --std"),
        ("several-signatures", "Set --signature to the one that takes pictures"),
        ("scores-and-logits", "Set --output-tensor to the one with the probabilities"),
        ("class-file-with-another-length", "has 3 classes, but the model has 5 outputs"),
        ("tf1-examples", "takes tf.Example records and not pictures"),
    ],
)
def test_what_cannot_be_known_is_asked_for_with_the_option_to_set(
    name: str, message: str, tmp_path: Path
) -> None:
    entry = entry_named(name)
    entry.make(tmp_path / "model")
    wanted = adoption(entry, tmp_path)
    with pytest.raises(ModelError) as raised:
        adopt.examine(loading.load(str(tmp_path / "model"), None, None), wanted, "zoo")
    assert message in str(raised.value)
    assert "spec." not in str(raised.value)


def three_classes(folder: Path) -> Path:
    file = folder / "classes.json"
    file.write_text('{"cat": 0, "dog": 1, "cow": 2}')
    return file


def small(last: Any, first: Any = None) -> keras.Model:
    """A Keras model of three classes that ends with this layer, and begins with the other one."""
    keras.utils.set_random_seed(3)
    image = keras.Input((12, 10, 3))
    values = first(image) if first is not None else image
    return keras.Model(image, last(keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(values))))


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (keras.layers.Rescaling(1 / 255), "maps pixels from 0 to 255 to 0 to 1"),
        (keras.layers.Rescaling(2.0, -1.0), "scale 1/255, because the model itself maps values from 0 to 1"),
        (None, "It is not known how the pixels of the model are scaled. Set --preprocess to tf"),
    ],
)
def test_without_labelled_images_the_first_operations_of_the_model_show_the_scaling(
    first: Any, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.h5"
    small(keras.layers.Dense(3, "softmax"), first).save(file)
    wanted = Adoption(classes=three_classes(tmp_path))
    try:
        findings = " ".join(adopt.examine(loading.load(str(file), None, None), wanted, "m").findings)
    except TrainingError as error:
        findings = str(error)
    assert said in findings


def test_the_names_of_the_classes_are_asked_for_if_nothing_shows_them(tmp_path: Path) -> None:
    original = keras_models.of_keras(small(keras.layers.Dense(3, "softmax")), "the model", "model")
    with pytest.raises(TrainingError, match=r"the model has 3 classes\. List the classes"):
        adopt.examine(original, Adoption(), "m")


def test_folders_that_are_not_the_classes_are_named(tmp_path: Path) -> None:
    """Such as the folder with the models, beside those with the images."""
    for name in ("cat", "dog", "models", "more"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (10, 12)).save(tmp_path / name / "1.png")
    original = keras_models.of_keras(small(keras.layers.Dense(3, "softmax")), "the model", "model")
    with pytest.raises(TrainingError, match="has 4 folders with images: cat, dog, models, more"):
        adopt.examine(original, Adoption(images=pictures.find(tmp_path)), "m")


def test_a_model_that_is_right_less_often_than_guessing_is_refused(
    brightness_model: Path, brightness_images: Path, tmp_path: Path
) -> None:
    """As with classes in another order."""
    classes = tmp_path / "classes.txt"
    classes.write_text("\n".join(reversed(BRIGHTNESS)), encoding="utf-8")
    images = pictures.find(brightness_images)
    wanted = Adoption(classes=classes, images=images, scaling=scaling.MODES["tf"])
    original = loading.load(str(brightness_model), None, None)
    with pytest.raises(
        TrainingError, match=r"right for 0 of 24 labelled images, and guessing would be for about 6"
    ):
        adopt.examine(original, wanted, "m")


def test_a_keras_model_with_a_bfloat16_input_gives_what_the_original_gives(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((12, 10, 3), dtype="bfloat16")
    model = keras.Model(image, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(image)))
    wanted = Adoption(classes=three_classes(tmp_path), scaling=scaling.ZERO_TO_ONE)
    found = adopt.examine(keras_models.of_keras(model, "the model", "model"), wanted, "m")
    assert found.called.input.dtype == "bfloat16"
    served = found.served(tf.constant(found.pixels, tf.float32))
    np.testing.assert_allclose(served, found.expected, atol=1e-5)


@pytest.mark.parametrize(("threshold", "accuracy"), [(0.5, 1.0), (0.9, 0.5)])
def test_the_accuracy_is_that_of_the_predictions_with_the_threshold(
    threshold: float, accuracy: float, tmp_path: Path
) -> None:
    for name, value in (("dark", 30), ("light", 225)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (10, 12), (value, value, value)).save(tmp_path / name / "1.png")
    image, head = keras.Input((12, 10, 3)), keras.layers.Dense(1, "sigmoid")
    model = keras.Model(image, head(keras.layers.GlobalAveragePooling2D()(image)))
    head.set_weights([np.full((3, 1), 1.5, np.float32), np.array([-2.5], np.float32)])  # light: 0.81
    wanted = Adoption(images=pictures.find(tmp_path), scaling=scaling.ZERO_TO_ONE, threshold=threshold)
    found = adopt.examine(keras_models.of_keras(model, "the model", "model"), wanted, "m")
    assert found.contract.metrics["adoption"]["accuracy"] == accuracy


@pytest.fixture
def labelled(tmp_path: Path) -> Files:
    """A white and a grey image of each of the three classes: too few to show how pixels are scaled."""
    for name in ("cat", "cow", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for value in (128, 255):
            image = Image.new("RGB", (10, 12), (value, value, value))
            image.save(tmp_path / "images" / name / f"{value}.png")
    return pictures.find(tmp_path / "images")


CAFFE = scaling.Decided(scaling.MODES["caffe"], "preprocess_input of M has the mode caffe")


@pytest.mark.parametrize("has_images", [False, True])
def test_channels_that_contradict_the_library_of_the_model_are_refused(
    has_images: bool, labelled: Files, tmp_path: Path
) -> None:
    original = keras_models.of_keras(small(keras.layers.Dense(3, "softmax")), "the model", "m", CAFFE)
    images = labelled if has_images else None
    wanted = Adoption(classes=three_classes(tmp_path), images=images, channels="rgb")
    with pytest.raises(TrainingError, match=r"M has the mode caffe\. This means the channels bgr, but"):
        adopt.examine(original, wanted, "m")
    found = adopt.examine(original, replace(wanted, channels="bgr"), "m")
    assert (found.called.input.channels, found.called.input.scale) == ("bgr", 1.0)


def test_a_model_that_overflows_with_the_scaling_of_its_library_is_refused(
    labelled: Files, tmp_path: Path
) -> None:
    known = scaling.Decided(scaling.NONE, "preprocess_input of M has the mode none")
    model = small(keras.layers.Dense(3, "softmax"), keras.layers.Activation("exponential"))
    original = keras_models.of_keras(model, "the model", "m", known)
    wanted = Adoption(classes=three_classes(tmp_path), images=labelled)
    with pytest.raises(ModelError, match="the model returns values that are not finite"):
        adopt.examine(original, wanted, "m")


def test_a_model_that_draws_random_numbers_at_inference_is_refused(tmp_path: Path) -> None:
    noise = keras.layers.Lambda(lambda values: values + tf.random.normal(tf.shape(values)))
    model = small(keras.layers.Dense(3, "softmax"), noise)
    wanted = Adoption(classes=three_classes(tmp_path), scaling=scaling.ZERO_TO_ONE)
    with pytest.raises(ModelError, match="Export it for inference"):
        adopt.examine(keras_models.of_keras(model, "the model", "model"), wanted, "m")


def test_a_model_that_computes_something_else_than_its_original_is_not_written(tmp_path: Path) -> None:
    original = keras_models.of_keras(small(keras.layers.Dense(3, "softmax")), "the model", "model")
    wanted = Adoption(classes=three_classes(tmp_path), scaling=scaling.ZERO_TO_ONE)
    other = replace(original, graph=lambda tensors, values: original.graph(tensors, values * 0.98))
    with pytest.raises(ModelError, match=r"differ from those of the model by .*--tolerance"):
        adopt.write(adopt.examine(other, wanted, "m"), Place(tmp_path / "out", 1), 1e-4)
    assert list((tmp_path / "out" / "m").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.pth", b"PK", "torch.onnx.export"),
        ("model.tflite", b"TFL3", "cannot be converted back"),
        ("saved_model.pb", b"", "is a part of a SavedModel. Name its directory"),
        ("model.keras", b"no zip", "Keras cannot load"),
        ("model.onnx", b"", "Convert it with onnx2tf"),
        ("model.zip", b"", "is not a model that can be adopted. Name a SavedModel directory"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_next_step(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as raised:
        loading.load(str(tmp_path / name), None, None)
    assert said in str(raised.value)


def test_a_file_with_weights_only_is_refused_with_the_next_step(tmp_path: Path) -> None:
    file = tmp_path / "model.weights.h5"
    small(keras.layers.Dense(3)).save_weights(file)
    with pytest.raises(ModelError, match="the weights of a model without the model"):
        loading.load(str(file), None, None)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--threshold", "2"], "--threshold is 2, but must be from 0 to 1"),
        (["--std", "0"], "--std has a 0"),
        (["--images", "nowhere"], "--images nowhere is not a folder"),
        (["--classes", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_a_wrong_option_is_refused_before_tensorflow_is_imported(
    option: list[str], said: str, tmp_path: Path
) -> None:
    program = (
        "import sys; from imageclassifier_training.cli import run; code = run(sys.argv[1:]); "
        "sys.exit('tensorflow was imported' if 'tensorflow' in sys.modules else code)"
    )
    (tmp_path / "model.keras").write_bytes(b"no zip")
    ended = subprocess.run(
        [sys.executable, "-c", program, "adopt", "model.keras", *option],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said in ended.stderr
    assert ended.returncode == 1
    assert "tensorflow was imported" not in ended.stderr


def test_a_model_that_describes_itself_is_not_adopted_again(adopted: tuple[Path, str]) -> None:
    with pytest.raises(ModelError, match="describes itself already"):
        loading.load(str(adopted[0].parent), None, None)


def test_a_name_that_is_no_model_of_keras_applications_is_refused() -> None:
    assert keras_models.application_named("mobilenet_v2") == "MobileNetV2"
    with pytest.raises(ModelError, match=r"nor a model of keras\.applications"):
        loading.load("mobilenet_v9", None, None)


@pytest.mark.parametrize(
    ("module", "mode"),
    [("mobilenet_v2", "tf"), ("xception", "tf"), ("densenet", "torch"), ("resnet50", "caffe"),
     ("efficientnet", "none"), ("convnext", "none")],
)  # fmt: skip
def test_the_scaling_of_each_model_of_keras_applications_is_that_of_its_own_function(
    module: str, mode: str
) -> None:
    assert scaling.mode_of(getattr(keras.applications, module).preprocess_input) == mode


def test_the_modes_are_those_of_the_spec() -> None:
    for name, found in scaling.MODES.items():
        factors = PREPROCESS[name].factors()
        np.testing.assert_allclose(np.broadcast_to(found.scale, 3), np.broadcast_to(factors["scale"], 3))
        np.testing.assert_allclose(np.broadcast_to(found.offset, 3), np.broadcast_to(factors["offset"], 3))
