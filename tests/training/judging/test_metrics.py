"""Metrics agree with values calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from imageclassifier_training.judging import metrics


def two(*second: float) -> np.ndarray:
    values = np.array(second)
    return np.stack([1 - values, values], axis=1)


def test_with_two_classes_the_threshold_decides() -> None:
    labels = np.array([0, 0, 1, 1])
    found = metrics.compute(two(0.1, 0.65, 0.6, 0.9), labels, threshold=0.7)
    assert found.confusion == [[2, 0], [1, 1]]
    assert found.accuracy == 0.75
    assert found.roc_auc == 0.75
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.35, 0.6, 0.9]).mean())


def test_with_more_classes_the_most_probable_one_is_predicted() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
    found = metrics.compute(probabilities, np.array([0, 2, 1]), threshold=0.99)
    assert found.confusion == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_each_class_has_its_precision_recall_and_f1() -> None:
    probabilities = np.eye(3)[[0, 0, 1, 1, 1, 0]]
    found = metrics.compute(probabilities, np.array([0, 0, 0, 1, 1, 1]))
    first, second, third = found.classes
    assert (first.precision, first.recall, first.f1) == (2 / 3, 2 / 3, 2 / 3)
    assert (second.pictures, second.precision) == (3, 2 / 3)
    assert (third.pictures, third.precision, third.recall, third.f1) == (0, None, None, None)
    assert found.macro_f1 == pytest.approx(2 / 3)
    assert found.top_5 is None


def test_the_top_5_accuracy_counts_the_five_most_probable_classes() -> None:
    probabilities = np.tile([0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05], (2, 1))
    assert metrics.compute(probabilities, np.array([4, 5])).top_5 == 0.5


def test_roc_auc_is_undefined_without_an_image_of_each_class() -> None:
    assert metrics.compute(two(0.1, 0.2), np.array([0, 0]), 0.5).roc_auc is None


def test_confident_and_correct_is_calibrated_and_confident_and_wrong_is_not() -> None:
    labels = np.array([0, 1])
    assert metrics.compute(two(0.0001, 0.9999), labels, 0.5).calibration_error < 0.001
    assert metrics.compute(two(0.9999, 0.0001), labels, 0.5).calibration_error > 0.999


def test_the_accuracy_interval_is_the_wilson_score_interval() -> None:
    low, high = metrics.wilson_interval(98, 100)
    assert (low, high) == pytest.approx((0.9300, 0.9945), abs=1e-4)
    assert metrics.wilson_interval(10, 10)[1] == pytest.approx(1.0)


def test_the_threshold_curve_trades_recall_for_precision() -> None:
    curve = metrics.threshold_curve(two(0.1, 0.6, 0.7, 0.9), np.array([0, 0, 1, 1]), [0.5, 0.65, 0.95])
    assert curve == [(0.5, 0.75, 2 / 3, 1.0), (0.65, 1.0, 1.0, 1.0), (0.95, 0.5, 1.0, 0.0)]
