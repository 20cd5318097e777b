"""Temperature and threshold are chosen from out-of-fold predictions, and judged on other folds."""

from __future__ import annotations

import numpy as np
import pytest

from imageclassifier_training.errors import TrainingError
from imageclassifier_training.judging import operating_point
from imageclassifier_training.judging.operating_point import OutOfFold, choose, cross_fitted
from imageclassifier_training.judging.threshold_rule import ThresholdRule


def predictions(over: float = 1.0, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of two classes whose logits are `over` times too large."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, count)
    logits = 2 * (2 * labels - 1 + random.normal(size=count))
    second = 1 / (1 + np.exp(-over * logits))
    return np.stack([1 - second, second], axis=1), labels


@pytest.mark.parametrize("over", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_probabilities_that_are_too_sure_or_too_unsure(over: float) -> None:
    point = choose(*predictions(over), ThresholdRule(), calibrate=True)
    assert point.temperature == pytest.approx(over, rel=0.05)
    right, _ = predictions(1.0)
    calibrated, _ = point.apply(predictions(over)[0])
    np.testing.assert_allclose(calibrated, right, atol=0.02)


def test_without_calibration_the_probabilities_stay() -> None:
    probabilities, labels = predictions(3.0)
    point = choose(probabilities, labels, ThresholdRule(), calibrate=False)
    np.testing.assert_allclose(point.apply(probabilities)[0], probabilities, atol=1e-9)


def test_few_images_that_are_all_correct_do_not_make_the_model_certain() -> None:
    probabilities = np.tile([[0.9, 0.1], [0.1, 0.9]], (8, 1))
    point = choose(probabilities, np.tile([0, 1], 8), ThresholdRule(), calibrate=True)
    assert point.apply(probabilities)[0].max() < 0.97


def figures(rule: str) -> tuple[float, float, float, float]:
    probabilities, labels = predictions()
    point = choose(probabilities, labels, ThresholdRule.parse(rule), calibrate=False)
    predicted = point.apply(probabilities)[1]
    hits = ((predicted == 1) & (labels == 1)).sum()
    precision, recall = hits / (predicted == 1).sum(), hits / (labels == 1).sum()
    return (predicted == labels).mean(), precision, recall, 2 * precision * recall / (precision + recall)


def test_each_rule_is_best_by_its_own_measure() -> None:
    by = {rule: figures(rule) for rule in ("0.5", "accuracy", "f1", "precision=0.97")}
    assert by["accuracy"][0] == max(found[0] for found in by.values())
    assert by["f1"][3] == max(found[3] for found in by.values())
    assert by["precision=0.97"][1] >= 0.97
    assert figures("precision=0.9")[2] > by["precision=0.97"][2]


def test_a_precision_that_cannot_be_held_is_noted() -> None:
    labels = np.array([1, 0, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.7, 0.3]])
    point = choose(probabilities, labels, ThresholdRule.parse("precision=0.9"), calibrate=False)
    assert "No threshold holds a precision of 0.9" in point.note


@pytest.mark.parametrize("text", ["", "2", "recall", "recall=0.5", "precision=2", "precision", "nan"])
def test_what_is_not_a_threshold_is_refused(text: str) -> None:
    with pytest.raises(TrainingError, match="is not a threshold"):
        ThresholdRule.parse(text)


def test_no_image_influences_the_threshold_that_is_tested_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, labels = predictions(count=60)
    folds = np.arange(60) % 3
    seen: list[np.ndarray] = []
    original = operating_point.choose

    def spy(given: np.ndarray, *rest: object, **options: bool) -> object:
        seen.append(given)
        return original(given, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(operating_point, "choose", spy)
    ((calibrated, predicted),) = cross_fitted(
        OutOfFold(probabilities[None], folds[None], labels), ThresholdRule("accuracy"), calibrate=True
    )
    assert [len(each) for each in seen] == [40, 40, 40]
    assert not np.isin(probabilities[folds == 0, 0], seen[0][:, 0]).any()
    assert calibrated.shape == (60, 2)
    assert set(predicted) == {0, 1}
