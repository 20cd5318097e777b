"""The files of a data set: folders, hidden files, unreadable and too large pictures, and none at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset_verification import MakeModel, plan, run


def test_a_folder_that_names_no_class_of_the_candidate_is_refused(
    make_model: MakeModel, pictures: Path
) -> None:
    (pictures / "pizza").rename(pictures / "pizzas")
    verdict = run(plan(make_model(version=2), make_model(version=1), {"root": str(pictures)}))
    assert (verdict["exit_code"], verdict["reason"]) == (1, "DatasetInvalid")
    assert "no classes of the candidate: pizzas. Its classes are not_pizza, pizza." in verdict["message"]


def test_unreadable_pictures_are_counted_and_reported(make_model: MakeModel, pictures: Path) -> None:
    (pictures / "pizza" / "0.jpg").write_bytes(b"no picture")
    document = plan(make_model(version=2), make_model(version=1), {"root": str(pictures)})
    verdict = run(document)
    assert (verdict["exit_code"], verdict["reason"]) == (2, "VerificationFailed")
    assert "1 of 40 pictures cannot be read, such as 'pizza/0.jpg': The file is not" in verdict["message"]
    assert "At most 1 %" in verdict["message"]
    document["dataset"]["max_unreadable_percent"] = 5
    verdict = run(document)
    assert verdict["passed"]
    assert (verdict["dataset"]["pictures"], verdict["dataset"]["unreadable"]) == (39, 1)
    assert "1 of 40 pictures cannot be read" in verdict["dataset"]["message"]


def test_a_picture_of_too_many_bytes_is_not_even_read(make_model: MakeModel, pictures: Path) -> None:
    with (pictures / "pizza" / "0.jpg").open("wb") as file:
        file.truncate(2**40)
    document = plan(make_model(version=2), None, {"root": str(pictures), "max_unreadable_percent": 5})
    assert "1,099,511,627,776 bytes" in run(document)["dataset"]["message"]


def test_hidden_and_system_files_are_neither_pictures_nor_classes(
    make_model: MakeModel, pictures: Path
) -> None:
    (pictures / "lost+found").mkdir()
    (pictures / ".hidden").mkdir()
    (pictures / "README.md").write_text("about")
    (pictures / "pizza" / ".DS_Store").write_text("x")
    (pictures / "pizza" / "Thumbs.db").write_text("x")
    assert run(plan(make_model(version=2), None, {"root": str(pictures)}))["dataset"]["total"] == 40


@pytest.mark.parametrize("missing", ["root", "pictures"])
def test_a_data_set_without_pictures_is_inconclusive(
    make_model: MakeModel, tmp_path: Path, missing: str
) -> None:
    root = tmp_path / "nowhere" if missing == "root" else tmp_path
    (tmp_path / "pizza").mkdir()
    verdict = run(plan(make_model(version=2), None, {"root": str(root)}))
    assert (verdict["exit_code"], verdict["reason"]) == (2, "VerificationFailed")
    assert "spec.rollout.acceptance.dataset" in verdict["message"]


def test_folders_of_config_maps_have_the_classes_of_the_plan(make_model: MakeModel, pictures: Path) -> None:
    (pictures / "pizza").rename(pictures / "lunch-1")
    folders = [
        {"label": "pizza", "path": str(pictures / "lunch-1")},
        {"label": "not_pizza", "path": str(pictures / "not_pizza")},
    ]
    document = plan(make_model(version=2), None, {"folders": folders})
    assert run(document)["dataset"]["total"] == 40
    folders[0]["path"] = str(pictures / "lunch-2")
    (pictures / "lunch-2").mkdir()
    message = run(document)["message"]
    assert "no pictures of the class pizza: the ConfigMap lunch-2 does not exist or is empty" in message
