"""`export` writes a model card: complete, in words a reader can check, and honest about what is unknown."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from imageclassifier_gateway.contract import ModelClass
from imageclassifier_training.exporting.export import Exported
from imageclassifier_training.networks import learned
from imageclassifier_training.networks.distance import Distance
from imageclassifier_training.networks.learned import MeasuredDistance, Training
from imageclassifier_training.publishing import figures, model_card
from imageclassifier_training.publishing.model_card import Made, Origin

Run = Callable[..., int]
#: What a release before calibration and out-of-fold predictions wrote.
OLDER_TRAINING = Path(__file__).parents[1] / "older_training"
ORIGIN = Origin("pizza-model", 4, "imageclassifier-training export runs/x --name pizza-model --version 4")
EXPORTED = Exported(Path("models/pizza-model/4"), 16_600_000, 0.5, 24.0, 1e-7)


def card_of(training: Training, folder: Path) -> str:
    return model_card.render(training, figures.collect(training, folder), ORIGIN, Made(EXPORTED))


def section(card: str, title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_card_lies_beside_the_model_with_data_figures_and_licences(exported: Path, trained: Path) -> None:
    card = (exported / "MODEL_CARD.md").read_text()
    record = json.loads((trained / "training.json").read_text())
    assert card.startswith("# colours, version 3\n")
    assert record["data_digest"] in section(card, "Data")
    assert re.search(r"^\| red \| It is red! \| 8 \| 100\.0 % \(67\.6 to 100\.0\) ", card, re.MULTILINE)
    low, high = record["metrics"]["cross_validation"]["accuracy_interval"]
    assert f"100.00 % ({100 * low:.1f} to {100 * high:.1f})" in section(card, "Figures")
    assert f"{record['record']['temperature']:.3f}" in section(card, "Threshold and calibration")
    assert "| efficientnet_lite0 | its Python package | Apache-2.0 |" in section(card, "Licences")
    assert "fewer than 30 training images: blue, red" in section(card, "Limits")
    manifest = yaml.safe_load(re.search(r"(    apiVersion.*?)\n\n", card, re.DOTALL)[1])  # type: ignore[index]
    assert manifest["spec"]["model"]["version"] == 3


def test_no_part_of_a_card_is_left_open(exported: Path) -> None:
    card = (exported / "MODEL_CARD.md").read_text()
    assert not re.findall(r"TODO|None|nan\b|\{\{|\}\}|\{%|Undefined|NAME|\n\n\n", card)
    for table in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


def test_the_command_in_the_card_repeats_the_training(
    exported: Path, trained: Path, shared_data: Path, cache: Path, run: Run, tmp_path: Path
) -> None:
    made = section((exported / "MODEL_CARD.md").read_text(), "How it was made")
    (line,) = [each.strip() for each in made.splitlines() if " train " in each]
    places = {"DATA": str(shared_data), "RUN": str(tmp_path / "again")}
    assert run(*[places.get(word, word) for word in shlex.split(line)[1:]], "--cache", cache) == 0
    first, second = (learned.load(folder) for folder in (trained, tmp_path / "again"))
    assert first.record["options"] == second.record["options"]
    assert first.classes == second.classes
    assert (trained / "out_of_fold.csv").read_text() == (tmp_path / "again" / "out_of_fold.csv").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"balanced": False, "calibrate": False},
            "--no-class-weights --folds 2 --repeats 1 --no-calibration",
        ),
        ({"threshold": {"by": "precision", "value": 0.95}}, "--threshold precision=0.95"),
        ({"threshold": {"by": "fixed", "value": 0.7}}, "--threshold 0.7"),
        (
            {"fine_tuning": {"blocks": None, "epochs": 3, "learning_rate": 3e-5, "patience": 0}},
            "--fine-tune all --epochs 3 --learning-rate 3e-05 --patience 0",
        ),
        (
            {
                "fine_tuning": {
                    "blocks": 2,
                    "epochs": 1,
                    "learning_rate": 1e-5,
                    "patience": 2,
                    "mixed_precision": True,
                }
            },
            "--patience 2 --mixed-precision",
        ),
    ],
)
def test_the_command_has_each_option(options: dict[str, object], words: str, trained: Path) -> None:
    training = learned.load(trained)
    record = {**training.record, "options": {**training.record["options"], **options}}
    assert words in section(card_of(replace(training, record=record), trained), "How it was made")


def test_an_older_training_has_a_card_that_says_what_is_unknown() -> None:
    card = card_of(learned.load(OLDER_TRAINING), OLDER_TRAINING)
    assert "| cross-validation, 2 x 5 folds | 1574 | 97.05 % (96.1 to 97.8) |" in card
    assert "Precision, recall and F1 of each class are unknown" in card
    assert "did not calibrate" in section(card, "Threshold and calibration")
    assert "did not record which images these are" in card


def test_a_training_without_a_measurement_claims_nothing(trained: Path, tmp_path: Path) -> None:
    card = card_of(replace(learned.load(trained), metrics={}), tmp_path)
    assert "how often it is right is unknown" in section(card, "Limits")
    assert "%" not in section(card, "Figures")


@pytest.mark.parametrize("worse", [True, False])
def test_a_calibration_that_did_not_help_is_named(trained: Path, worse: bool) -> None:
    training = learned.load(trained)
    measured = training.metrics["cross_validation"]
    raw = {"log_loss": measured["log_loss"] + (-0.01 if worse else 0.01), "calibration_error": 0.5}
    metrics = {**training.metrics, "cross_validation": {**measured, "before_calibration": raw}}
    card = section(card_of(replace(training, metrics=metrics), trained), "Threshold and calibration")
    assert "Without it, the calibration error of the cross-validation is 0.5000" in card
    assert ("It did not improve the log loss of these images." in card) == worse


def test_the_limits_agree_with_the_section_on_unfamiliar_pictures(trained: Path) -> None:
    training = replace(learned.load(trained), familiarity=None)
    assert "- Every image gets one of the classes." in section(card_of(training, trained), "Limits")
    distance = Distance(np.eye(2, dtype=np.float32))
    training = replace(training, familiarity=MeasuredDistance(distance, ((1.0, 0.5),), 300))
    limits = section(card_of(training, trained), "Limits")
    assert "- Every image that is not found unfamiliar gets one of the classes." in limits


def test_names_with_markup_stay_in_their_cell(trained: Path, tmp_path: Path) -> None:
    training = learned.load(trained)
    names = ("a|b <b>`x`", "not_pizza")
    classes = tuple(ModelClass(name, f"*{name}*") for name in names)
    record = {**training.record, "pictures": dict.fromkeys(names, 8)}
    card = card_of(replace(training, classes=classes, record=record, metrics={}), tmp_path)
    assert r"| a\|b \<b\>\`x\` | \*a\|b \<b\>\`x\`\* | 8 |" in card
    assert r"| not_pizza | \*not_pizza\* | 8 |" in card
