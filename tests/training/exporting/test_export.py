"""An export follows the model contract, equals the trained network, and is published atomically."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from imageclassifier_gateway.contract import (
    FOR_NEW_MODELS,
    PROFILES,
    RESIZES,
    Decoding,
    Golden,
    GoldenCase,
    ModelInput,
    parse_contract,
    pixels_digest,
)
from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_training.errors import ModelError, TrainingError
from imageclassifier_training.exporting import export, golden, saved_model
from imageclassifier_training.networks import learned

Run = Callable[..., int]
OLDER_TRAINING = Path(__file__).parents[1] / "older_training"


def test_each_input_and_output_has_a_batch_dimension(exported: Path) -> None:
    signatures = tf.saved_model.load(str(exported)).signatures
    assert set(signatures) == {"serving_default", "explain", "contract", "golden"}
    for name, signature in signatures.items():
        (inputs,) = signature.structured_input_signature[1].values()
        assert inputs.shape[0] is None, name
        assert {output.shape[0] for output in signature.structured_outputs.values()} == {None}, name
    pixels = signatures["serving_default"].structured_input_signature[1]["pixels"]
    assert (pixels.dtype, pixels.shape.as_list()) == (tf.uint8, [None, 64, 64, 3])
    probabilities = signatures["serving_default"].structured_outputs["probabilities"]
    assert (probabilities.dtype, probabilities.shape.as_list()) == (tf.float32, [None, 2])
    for name in ("contract", "golden"):
        assert signatures[name].structured_input_signature[1]["ignored"].dtype == tf.int32
        answer = signatures[name](ignored=tf.constant([7, 8, 9]))["json"].numpy()
        assert answer.shape == (3,)
        assert len(set(answer)) == 1


def test_the_contract_describes_the_training(exported: Path, trained: Path) -> None:
    record = json.loads((trained / "training.json").read_text())
    contract = saved_model.load(exported).contract
    assert contract.name == "colours"
    assert [(each.name, each.message) for each in contract.classes] == [
        ("blue", "blue"),
        ("red", "It is red!"),
    ]
    assert (contract.input.height, contract.input.width) == (64, 64)
    assert contract.metrics == record["metrics"]
    assert contract.data_digest == record["data_digest"]
    assert contract.created == record["created"]
    assert contract.backbone == "efficientnet_lite0@64"


def test_the_contract_says_how_training_prepared_the_images(exported: Path, trained: Path) -> None:
    network = json.loads((trained / "training.json").read_text())["network"]
    contract = saved_model.load(exported).contract
    assert contract.to_dict()["input"]["decode"] == network["decode"]
    assert contract.input.decode == FOR_NEW_MODELS


def test_a_training_of_an_earlier_release_is_exported_with_the_preprocessing_of_that_release() -> None:
    architecture = learned.load(OLDER_TRAINING).architecture
    assert architecture.input == ModelInput(height=300, width=300)
    assert "decode" not in architecture.to_dict()


def test_the_last_golden_image_shows_each_way_of_preparing_photographs() -> None:
    photograph = golden.make(ModelInput(height=64, width=64), _half).cases[-1].picture
    for resize in RESIZES:
        ways = [
            ModelInput(height=64, width=64, resize=resize, decode=Decoding(margin=margin, profile=profile))
            for margin in (2.0, 1.33, 0.85)
            for profile in PROFILES
        ]
        assert len({pixels_digest(prepare(photograph, wanted)) for wanted in ways}) == 6


def test_the_exported_model_equals_the_trained_network_for_one_image_and_for_a_batch(
    exported: Path, trained: Path, shared_data: Path
) -> None:
    model, network = saved_model.load(exported), learned.load(trained).network().model
    files = sorted(shared_data.rglob("*.png"))
    pixels = np.stack([prepare(file.read_bytes(), model.contract.input) for file in files])
    expected = network.predict(pixels.astype(np.float32), verbose=0)
    together = model.probabilities(pixels)
    np.testing.assert_allclose(together, expected, atol=1e-5)
    np.testing.assert_allclose([model.probabilities(each[None])[0] for each in pixels], together, atol=1e-5)
    assert together.std() > 0.1


def test_the_golden_images_have_their_recorded_probabilities(exported: Path) -> None:
    model = saved_model.load(exported)
    assert len(model.golden.cases) >= 3
    for case in model.golden.cases:
        pixels = prepare(case.picture, model.contract.input)
        assert pixels_digest(pixels) == case.pixels
        found = model.probabilities(pixels[None])[0]
        np.testing.assert_allclose(found, case.probabilities, atol=model.golden.tolerance)


def test_the_model_serves_each_warm_up_request(exported: Path) -> None:
    signatures = tf.saved_model.load(str(exported)).signatures
    seen = []
    for record in tf.data.TFRecordDataset(str(exported / "assets.extra" / "tf_serving_warmup_requests")):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "colours"
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        signatures[request.model_spec.signature_name](**inputs)
        seen.append((request.model_spec.signature_name, inputs.popitem()[1].shape[0]))
    assert {name for name, _ in seen} == {"serving_default", "contract", "golden"}
    assert [size for name, size in seen if name == "serving_default"] == [1, 2, 4, 8]


def test_an_existing_version_changes_only_with_replace(
    trained: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "colours" / "1"
    place.mkdir(parents=True)
    (place / "mine").write_text("kept")
    assert run("export", trained, "--name", "colours", "--version", "1", "--out", tmp_path) == 1
    assert "exists" in capsys.readouterr().err
    assert (place / "mine").read_text() == "kept"
    assert run("export", trained, "--name", "colours", "--version", "1", "--out", tmp_path, "--replace") == 0
    assert not (place / "mine").exists()
    assert (place / "saved_model.pb").exists()
    assert [each.name for each in place.parent.iterdir()] == ["1"]


def test_a_model_with_other_probabilities_after_a_reload_is_not_published(tmp_path: Path) -> None:
    contract = parse_contract(
        {
            "name": "m",
            "input": {"height": 8, "width": 8},
            "classes": [{"name": "a"}, {"name": "b"}],
            "threshold": 0,
        }
    )
    wrong = Golden(1e-3, (GoldenCase(golden.make(contract.input, _half).cases[0].picture, (0.4, 0.6)),))
    with pytest.raises(ModelError, match="differ from those of the trained network"):
        export.publish(
            lambda pixels: tf.fill([tf.shape(pixels)[0], 2], 0.5), contract, wrong, _place(tmp_path)
        )
    assert not list((tmp_path / "m").iterdir())


def test_a_version_without_the_files_beside_it_is_not_published(tmp_path: Path) -> None:
    contract = parse_contract(
        {
            "name": "m",
            "input": {"height": 8, "width": 8},
            "classes": [{"name": "a"}, {"name": "b"}],
            "threshold": 0,
        }
    )

    def fail(folder: Path, exported: export.Exported) -> None:
        raise ModelError("no card")

    with pytest.raises(ModelError, match="no card"):
        export.publish(
            lambda pixels: tf.fill([tf.shape(pixels)[0], 2], 0.5),
            contract,
            golden.make(contract.input, _half),
            export.Place(tmp_path, 1, beside=fail),
        )
    assert not list((tmp_path / "m").iterdir())


def test_a_network_with_a_gradient_of_its_own_is_exported(tmp_path: Path) -> None:
    """The swish of EfficientNetB3 and B5 has one, which TensorFlow cannot save."""
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="swish")(pixels)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(pixels, keras.layers.Dense(2, "softmax")(x))
    contract = parse_contract(
        {
            "name": "m",
            "input": {"height": 8, "width": 8},
            "classes": [{"name": "a"}, {"name": "b"}],
            "threshold": 0,
        }
    )
    cases = golden.make(contract.input, lambda batch: np.asarray(model(batch.astype(np.float32)), np.float64))
    exported = export.publish(lambda batch: model(batch, training=False), contract, cases, _place(tmp_path))
    assert exported.worst_difference < 1e-6


def _place(out: Path, version: int = 1) -> export.Place:
    return export.Place(out, version)


def _half(pixels: Any) -> Any:
    return np.full((len(pixels), 2), 0.5)


@pytest.mark.parametrize("version", [0, -1, 2**31])
def test_an_invalid_version_is_refused(version: int, tmp_path: Path) -> None:
    contract = parse_contract(
        {
            "name": "m",
            "input": {"height": 8, "width": 8},
            "classes": [{"name": "a"}, {"name": "b"}],
            "threshold": 0,
        }
    )
    with pytest.raises(TrainingError, match="between 1 and 2147483647"):
        export.publish(lambda pixels: pixels, contract, Golden(0, ()), _place(tmp_path, version))


def test_a_failed_write_keeps_the_old_version_and_leaves_no_files(tmp_path: Path) -> None:
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        _write_and_fail(folder)
    assert (folder / "saved_model.pb").read_bytes() == b"old"
    assert [each.name for each in folder.parent.iterdir()] == ["1"]


def _write_and_fail(folder: Path) -> None:
    with export.staged(folder, replace=True) as staging:
        (staging / "saved_model.pb").write_bytes(b"new")
        raise OSError("disk full")


def test_golden_images_are_the_same_on_each_run() -> None:
    once = golden.make(ModelInput(height=16, width=16), _half)
    assert golden.make(ModelInput(height=16, width=16), _half) == once
    assert len({case.picture for case in once.cases}) == len(once.cases)
