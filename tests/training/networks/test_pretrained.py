"""Backbones load all of their ImageNet weights, and reading a weights file never runs code from it."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from imageclassifier_training.errors import TrainingError, WeightsUnavailable
from imageclassifier_training.networks import efficientnet_lite, pretrained, torch_weights
from imageclassifier_training.networks.backbones import BACKBONES
from imageclassifier_training.networks.batch_norm_folding import fold_batch_norm


def legacy_file(path: Path, *pickled: Any) -> Path:
    """A file that begins as legacy `torch.save` does, with the given objects after it."""
    buffer = io.BytesIO()
    for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, *pickled):
        pickle.dump(each, buffer, protocol=2)
    path.write_bytes(buffer.getvalue())
    return path


class Evil:
    def __reduce__(self) -> Any:
        return (Path("/tmp/evil-was-run").touch, ())


@pytest.mark.parametrize(
    ("pickled", "named"),
    [
        ([Evil()], "not a tensor"),
        ([{"a": print}], "print, which is not a tensor"),
        ([{"a": np.zeros(1)}], "numpy"),
    ],
)
def test_a_weights_file_that_names_anything_other_than_tensors_is_refused(
    tmp_path: Path, pickled: list[Any], named: str
) -> None:
    with pytest.raises(TrainingError, match=named):
        torch_weights.load_state_dict(legacy_file(tmp_path / "evil.pth", *pickled))
    assert not Path("/tmp/evil-was-run").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02K\x05."])
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(TrainingError, match=r"other\.pth is not a readable legacy PyTorch weights file"):
        torch_weights.load_state_dict(tmp_path / "other.pth")


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    source = efficientnet_lite.weights_file(efficientnet_lite.VARIANTS["efficientnet_lite0"]).read_bytes()
    (tmp_path / "half.pth").write_bytes(source[: len(source) // 2])
    with pytest.raises(TrainingError, match=r"half\.pth"):
        torch_weights.load_state_dict(tmp_path / "half.pth")


@pytest.mark.parametrize("name", list(efficientnet_lite.VARIANTS))
def test_every_tensor_of_the_package_is_in_the_network(name: str) -> None:
    state = torch_weights.load_state_dict(efficientnet_lite.weights_file(efficientnet_lite.VARIANTS[name]))
    model = efficientnet_lite.build(name, 64, 64, classifier=True)
    own = sum(int(np.prod(weight.shape)) for weight in model.weights)
    theirs = sum(value.size for key, value in state.items() if not key.endswith("num_batches_tracked"))
    assert own == theirs


def test_the_network_recognises_imagenet_classes() -> None:
    """A misplaced weight or a wrong scaling of the pixels would give random classes for an orange disc."""
    model = efficientnet_lite.build("efficientnet_lite0", 224, 224, classifier=True)
    y, x = np.mgrid[0:224, 0:224]
    disc = ((x - 112) ** 2 + (y - 112) ** 2 < 70**2)[..., None]
    orange = np.where(disc, (245, 140, 20), (250, 250, 250)).astype(np.float32)
    logits = model.predict(orange[None], verbose=0)[0]
    names = {950: "orange", 951: "lemon", 722: "ping-pong ball", 852: "tennis ball", 417: "balloon"}
    assert names.keys() & set(np.argsort(logits)[-5:].tolist())


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_folding_batch_normalisation_keeps_the_output(name: str) -> None:
    model = efficientnet_lite.build(name, 64, 64)
    folded = fold_batch_norm(model)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    before, after = model.predict(pixels, verbose=0), folded.predict(pixels, verbose=0)
    np.testing.assert_allclose(after, before, atol=1e-4)
    assert before.std() > 0.1


def test_a_separable_convolution_is_folded_and_one_with_two_readers_is_not() -> None:
    pixels = keras.Input((16, 16, 3))
    x = keras.layers.SeparableConv2D(4, 3, use_bias=False, name="folded")(pixels)
    x = keras.layers.BatchNormalization(name="gone")(x)
    shared = keras.layers.Conv2D(4, 3, padding="same", name="shared")(x)
    y = keras.layers.BatchNormalization(name="stays")(shared)
    model = keras.Model(pixels, keras.layers.Add()([shared, y]))
    random = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    folded = fold_batch_norm(model)
    kept = [layer.name for layer in folded.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert kept == ["stays"]
    data = random.uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(folded.predict(data, verbose=0), model.predict(data, verbose=0), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "build", "count"),
    [("xception", keras.applications.Xception, 14), ("inception_v3", keras.applications.InceptionV3, 11)],
)
def test_other_backbones_are_folded_and_cut_into_blocks(name: str, build: Any, count: int) -> None:
    model = build(include_top=False, weights=None, input_shape=(96, 96, 3), name=name)
    found = pretrained.blocks(model)
    assert len(found) == count
    in_blocks = sorted(layer for layers in found.values() for layer in layers)
    assert in_blocks == sorted(layer.name for layer in model.layers)
    folded = fold_batch_norm(model)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)


def test_an_unreachable_download_is_an_error_with_advice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A closed port on loopback stands for an unreachable host.
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.config, "keras_home", lambda: str(tmp_path), raising=False)
    with pytest.raises(WeightsUnavailable, match=r"vgg16 could not be downloaded.*--weights FILE"):
        pretrained.build("vgg16", 64, 64)


def test_a_weights_file_of_another_network_is_an_error(tmp_path: Path) -> None:
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(other)
    with pytest.raises(WeightsUnavailable, match="does not hold the weights of vgg16"):
        pretrained.build("vgg16", 64, 64, other)


def test_a_given_weights_file_is_used(tmp_path: Path) -> None:
    source = keras.applications.VGG16(include_top=False, weights=None)
    file = tmp_path / "vgg.weights.h5"
    source.save_weights(file)
    built = pretrained.build("vgg16", 64, 64, file)
    np.testing.assert_array_equal(
        built.get_layer("block5_conv3").get_weights()[0], source.get_layer("block5_conv3").get_weights()[0]
    )
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    expected = source.predict(keras.applications.vgg16.preprocess_input(pixels.copy()), verbose=0)
    np.testing.assert_allclose(built.predict(pixels, verbose=0), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, row in BACKBONES.items() if row.downloads])
def test_a_backbone_scales_pixels_as_its_own_preprocessing_does(name: str) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3)).astype(np.float32)
    application = getattr(keras.applications, BACKBONES[name].application or "")
    expected = sys.modules[application.__module__].preprocess_input(pixels.copy())
    found = keras.ops.convert_to_numpy(pretrained.scaled(pixels, BACKBONES[name].scaling))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
