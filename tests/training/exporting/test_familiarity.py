"""A model says how far a picture is from its training images, and how far those are that it has not seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from drawn_images import draw

from imageclassifier_gateway.contract import (
    SERVING_SIGNATURE,
    Contract,
    Familiarity,
    Golden,
    ModelClass,
    ModelInput,
    Unfamiliar,
)
from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_training.exporting import saved_model
from imageclassifier_training.exporting.saved_model import ServedModel
from imageclassifier_training.fitting import familiarity
from imageclassifier_training.networks import learned
from imageclassifier_training.networks.distance import Distance
from imageclassifier_training.publishing import strangers

Run = Callable[..., int]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, cache: Path, run: Run) -> tuple[Path, Path, Path]:
    """The images, the training and the export of a model with enough images to know what is unlike them."""
    folder = tmp_path_factory.mktemp("known")
    for name, colour, seed in (("blue", (40, 40, 200), 5), ("red", (200, 40, 40), 6)):
        draw(folder / "data" / name, colour, familiarity.LEAST_IMAGES // 2, seed=seed)
    network = ["--backbone", "efficientnet_lite0@64", "--views", "1", "--folds", "2", "--cache", cache]
    assert run("train", folder / "data", "--out", folder / "run", *network) == 0
    assert run("export", folder / "run", "--name", "known", "--version", "1", "--out", folder) == 0
    return folder / "data", folder / "run", folder / "known" / "1"


def test_the_exported_model_returns_the_distance_that_training_measured(
    known: tuple[Path, Path, Path],
) -> None:
    data, training, exported = known
    model, trained = saved_model.load(exported), learned.load(training)
    assert trained.familiarity is not None
    assert model.contract.familiarity is not None
    assert model.contract.familiarity.quantiles == trained.familiarity.quantiles
    assert trained.familiarity.images == familiarity.LEAST_IMAGES
    files = sorted(data.rglob("*.png"))[:6]
    pixels = np.stack([prepare(file.read_bytes(), model.contract.input) for file in files])
    features = trained.network().features.predict(pixels.astype(np.float32), verbose=0)
    _, distances = model.scores(pixels)
    np.testing.assert_allclose(distances, trained.familiarity.distance.of(features), rtol=1e-3)


def test_training_images_keep_their_labels_and_a_page_of_text_has_none(
    known: tuple[Path, Path, Path], run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, _, exported = known
    model = saved_model.load(exported)
    wanted = model.contract.input
    files = sorted(data.rglob("*.png"))
    seen = model.decisions(np.stack([prepare(file.read_bytes(), wanted) for file in files]))
    assert sum(each.is_unfamiliar for each in seen) <= 1
    page = strangers.KINDS["text"](np.random.default_rng(0))
    page.save(tmp_path / "page.png")
    pixels = prepare((tmp_path / "page.png").read_bytes(), wanted)
    assert model.decisions(pixels[None])[0].shown_label is None
    assert run("predict", exported, tmp_path / "page.png") == 0
    assert "This does not look like anything I was trained on." in capsys.readouterr().out


def test_the_model_card_says_what_is_found_and_what_it_costs(known: tuple[Path, Path, Path]) -> None:
    card = (known[2] / "MODEL_CARD.md").read_text()
    assert "## Unfamiliar pictures" in card
    assert "| text | 20 | 20 |" in card
    assert not [line for line in card.splitlines() if "None" in line or "{{" in line]


def test_a_training_on_few_images_or_without_folds_makes_no_such_claim(trained: Path, exported: Path) -> None:
    assert "familiarity" not in json.loads((trained / "training.json").read_text())
    model = saved_model.load(exported)
    assert model.contract.familiarity is None
    assert model.scores(np.zeros((1, 64, 64, 3), np.uint8))[1] is None
    assert "Unfamiliar pictures" not in (exported / "MODEL_CARD.md").read_text()


def test_the_distance_can_be_added_to_a_training_of_an_earlier_release(
    known: tuple[Path, Path, Path], cache: Path, run: Run, tmp_path: Path, shared_data: Path
) -> None:
    data, training, _ = known
    earlier = tmp_path / "earlier"
    before = learned.load(training)
    replace(before, familiarity=None).save(earlier)
    assert run("familiarity", earlier, shared_data, "--cache", cache) == 3  # not its images
    assert learned.load(earlier).familiarity is None
    assert run("familiarity", earlier, data, "--cache", cache) == 0
    after = learned.load(earlier)
    assert after.familiarity is not None
    assert before.familiarity is not None
    assert after.familiarity.quantiles == before.familiarity.quantiles
    np.testing.assert_array_equal(after.learned.head.kernel, before.learned.head.kernel)


def test_made_pictures_are_prepared_as_the_contract_says() -> None:
    seen: list[np.ndarray] = []

    def run(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        seen.append(pixels.numpy())
        return {"probabilities": tf.fill((len(pixels), 2), 0.5), "distance": tf.fill((len(pixels),), 0.9)}

    contract = Contract(
        "known",
        ModelInput(height=32, width=64, fit="pad"),
        (ModelClass("blue", "Blue."), ModelClass("red", "Red.")),
        familiarity=Familiarity(((0.5, 0.1), (1.0, 0.2)), Unfamiliar(0.995)),
    )
    unknown = np.empty(0, np.uint64)
    model = ServedModel(Path(), contract, Golden(0.0, ()), {SERVING_SIGNATURE: run}, unknown)
    found = strangers.measure(model)
    assert [(each.kind, each.unfamiliar) for each in found] == [(kind, 20) for kind in strangers.KINDS]
    assert max(map(len, seen)) <= max(saved_model.WARMUP_BATCHES)
    pixels = np.concatenate(seen)
    assert pixels.shape == (20 * len(found), 32, 64, 3)
    # The pictures are square: half of the width is black borders.
    assert not pixels[:, :, :16].any()
    assert not pixels[:, :, 48:].any()
    assert pixels[:, :, 16:48].any(axis=(1, 2, 3)).all()


def test_each_image_is_measured_by_a_fit_that_has_not_seen_it() -> None:
    random = np.random.default_rng(1)
    features = np.abs(random.normal(size=(400, 300))).astype(np.float32)
    folds = [(np.arange(200), np.arange(200, 400)), (np.arange(200, 400), np.arange(200))]
    measured = familiarity.measure(lambda training, name: features, folds, 400)
    assert measured is not None
    seen = Distance.fit(features[:200]).of(features[:200])
    assert dict(measured.quantiles)[0.5] > np.median(seen) + 0.001
    assert measured.images == 400
    assert familiarity.measure(lambda training, name: features[:100], folds, 100) is None


def test_pictures_in_another_direction_than_the_training_images_are_far_away() -> None:
    random = np.random.default_rng(2)
    directions = random.normal(size=(4, 50))
    features = directions[random.integers(0, 4, 400)] + 0.05 * random.normal(size=(400, 50))
    distance = Distance.fit(features.astype(np.float32))
    near, far = distance.of(features.astype(np.float32)), distance.of(-features.astype(np.float32))
    assert near.max() < 0.1 < 0.5 < far.min()
    # Features twice as large are those of the same picture with more contrast.
    np.testing.assert_allclose(distance.of(2 * features.astype(np.float32)), near, atol=1e-6)


def test_a_picture_without_any_feature_has_a_finite_distance() -> None:
    distance = Distance.fit(np.ones((20, 5), np.float32))
    assert distance.of(np.zeros((1, 5), np.float32)).tolist() == [1.0]
