"""Augmented views: view 0 is what the gateway prepares, and each view of an image is always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_training.pictures import views
from imageclassifier_training.pictures.reading import read


def test_view_0_is_the_image_as_the_gateway_prepares_it(data_dir: Path) -> None:

    wanted = ModelInput(height=30, width=20, fit="crop")
    pictures = read(data_dir).pictures
    for picture, seen in zip(pictures, views.draw(pictures, wanted, 0), strict=True):
        assert (seen == prepare(picture.path.read_bytes(), wanted)).all()


def test_a_view_of_an_image_is_always_the_same_and_differs_from_its_other_views(data_dir: Path) -> None:

    pictures, wanted = read(data_dir).pictures, ModelInput(height=32, width=32)
    seen = [np.stack(list(views.draw(pictures, wanted, view))) for view in range(4)]
    assert (seen[1] == seen[0][:, :, ::-1]).all()
    assert (np.stack(list(views.draw(pictures[::-1], wanted, 3)))[::-1] == seen[3]).all()
    assert not any((a == b).all() for i, a in enumerate(seen) for b in seen[i + 1 :])
