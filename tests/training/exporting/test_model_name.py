"""The names of models: those that an ImageClassifier takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from imageclassifier_training.api import Version
from imageclassifier_training.errors import TrainingError
from imageclassifier_training.exporting import model_name

_CRD = Path(__file__).parents[3] / "crds" / "imageclassifiers.yaml"


def test_names_are_those_of_the_crd() -> None:
    version = yaml.safe_load(_CRD.read_text())["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    name = spec["properties"]["model"]["properties"]["name"]
    assert (name["pattern"], name["maxLength"]) == (model_name.PATTERN, model_name.MAX_LENGTH)


@pytest.mark.parametrize("name", ["pizza-model", "Pizza_2.1", "m", "x" * 63])
def test_a_name_that_fits_is_taken(name: str) -> None:
    assert Version(name).name == name


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("Pizza Model", "Pizza-Model"),
        ("pizza\n", "pizza"),
        ("-pizza", "pizza"),
        ("pizza/2", "pizza-2"),
        ("Pizzería", "Pizzer-a"),
        ("..", "model"),
        ("", "model"),
        ("x" * 64, "x" * 63),
    ],
)
def test_a_name_that_does_not_fit_is_refused_with_one_that_does(name: str, like: str) -> None:
    with pytest.raises(TrainingError, match=rf"such as {like}\.$"):
        Version(name)
    assert Version(like).name == like
