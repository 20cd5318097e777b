"""Class maps are exact: their mean is the logit of the prediction, for one branch and for several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_training.exporting import saved_model
from imageclassifier_training.networks import learned
from imageclassifier_training.networks.class_maps import class_maps
from imageclassifier_training.networks.head import Head, softmax


@pytest.mark.parametrize("grids", [[(7, 7)], [(7, 7), (10, 8)], [(1, 2), (3, 5), (4, 4)]])
def test_the_mean_of_the_maps_is_the_logit_of_the_pooled_features(grids: list[tuple[int, int]]) -> None:
    random = np.random.default_rng(0)
    spatial = [random.normal(size=(2, *grid, 6)).astype(np.float32) for grid in grids]
    pooled = np.concatenate([each.mean(axis=(1, 2)) for each in spatial], axis=1)
    size = pooled.shape[1]
    head = Head(random.normal(size=(size, 3)).astype(np.float32), random.normal(size=3).astype(np.float32))
    maps = class_maps([tf.constant(each) for each in spatial], head).numpy()
    assert maps.shape == (2, max(rows for rows, _ in grids), max(columns for _, columns in grids), 3)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), pooled @ head.kernel + head.bias, atol=1e-4)


def test_the_exported_maps_add_up_to_the_prediction_and_to_the_trained_logits(
    exported: Path, trained: Path, shared_data: Path
) -> None:
    model, network = saved_model.load(exported), learned.load(trained).network()
    files = sorted(shared_data.rglob("*.png"))[::4]
    pixels = np.stack([prepare(file.read_bytes(), model.contract.input) for file in files])
    maps = model.maps(pixels)
    assert maps is not None
    assert maps.shape == (len(files), 2, 2, 2)
    logits = maps.mean(axis=(1, 2), dtype=np.float64)
    features = network.features.predict(pixels.astype(np.float32), verbose=0)
    np.testing.assert_allclose(logits, features @ network.head.kernel + network.head.bias, atol=1e-4)
    np.testing.assert_allclose(softmax(logits), model.probabilities(pixels), atol=1e-5)


def test_the_weights_are_stored_once(exported: Path, trained: Path) -> None:
    weights = sum(each.size * 4 for each in learned.load(trained).network().model.get_weights())
    assert (exported / "saved_model.pb").stat().st_size < 1.2 * weights
