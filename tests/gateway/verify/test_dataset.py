"""The verification with a labelled data set: both versions get the same pictures, as the Job sends them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from free_ports import free_port

from fake_model import CONTRACT, FakeModel, redness
from gateway_process import request
from gateway_testbed import eventually, picture
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.contract import parse_contract
from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_gateway.verify import calls, verification
from imageclassifier_gateway.verify.progress import Progress
from imageclassifier_gateway.verify.verification import verify

MakeModel = Callable[..., FakeModel]
COLOURS = {"pizza": "#ff0000", "not_pizza": "#00ff00"}


def always(label: int) -> Callable[[np.ndarray], np.ndarray]:
    """A model that answers the same for every picture."""
    return lambda pixels: np.tile(np.eye(2)[label], (len(pixels), 1))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twenty pizzas and twenty other things, which the model of these tests tells apart."""
    for label, colour in COLOURS.items():
        (tmp_path / label).mkdir()
        for number in range(20):
            (tmp_path / label / f"{number}.jpg").write_bytes(picture(colour))
    return tmp_path


def plan(candidate: FakeModel, serving: FakeModel | None, dataset: dict[str, Any], **changes: Any) -> Any:
    def target(model: FakeModel) -> dict[str, Any]:
        return {"version": model.version, "target": model.target, "contract": None}

    return {
        "schema": 1,
        "model": "pizza-model",
        "candidate": target(candidate),
        "serving": None if serving is None else target(serving),
        "dataset": dataset,
        "deadline_seconds": 60,
        **changes,
    }


def run(document: dict[str, Any], progress: Progress | None = None) -> dict[str, Any]:
    verdict = verify(document, Settings(), progress)
    return dict(json.loads(verdict.text()) | {"exit_code": verdict.exit_code})


def test_an_equal_candidate_passes_with_a_table_of_both_classes(
    make_model: MakeModel, pictures: Path
) -> None:
    verdict = run(plan(make_model(version=2), make_model(version=1), {"root": str(pictures)}))
    assert (verdict["exit_code"], verdict["passed"]) == (0, True)
    dataset = verdict["dataset"]
    assert (dataset["result"], dataset["total"], dataset["pictures"]) == ("NotShownWorse", 40, 40)
    assert dataset["p_value"] == "1.0000"
    assert [(row["class"], row["both"]) for row in dataset["classes"]] == [("not_pizza", 20), ("pizza", 20)]


def test_a_worse_candidate_is_refused_with_the_class_that_it_loses_first(
    make_model: MakeModel, pictures: Path
) -> None:
    candidate = make_model(version=2, answer=always(0))
    verdict = run(plan(candidate, make_model(version=1), {"root": str(pictures)}))
    assert (verdict["exit_code"], verdict["reason"]) == (1, "WorseThanServing")
    assert "50.00 % right against 100.00 %" in verdict["message"]
    first = verdict["dataset"]["classes"][0]
    assert (first["class"], first["only_serving"], first["candidate_accuracy_percent"]) == (
        "pizza",
        20,
        "0.00",
    )


def test_a_better_candidate_passes(make_model: MakeModel, pictures: Path) -> None:
    serving = make_model(version=1, answer=always(0))
    dataset = run(plan(make_model(version=2), serving, {"root": str(pictures)}))["dataset"]
    assert (dataset["result"], dataset["only_candidate"]) == ("NotShownWorse", 20)


@pytest.mark.parametrize(("significance", "passes"), [(5, True), (7, False)])
def test_the_level_of_the_test_decides(
    make_model: MakeModel, tmp_path: Path, significance: int, passes: bool
) -> None:
    (tmp_path / "pizza").mkdir()
    for number in range(4):  # p = 1/16
        (tmp_path / "pizza" / f"{number}.jpg").write_bytes(picture("red"))
    document = plan(
        make_model(version=2, answer=always(0)),
        make_model(version=1),
        {"root": str(tmp_path), "significance_percent": significance},
    )
    assert run(document)["passed"] == passes


def test_the_first_version_is_not_compared_and_must_reach_the_least_accuracy(
    make_model: MakeModel, pictures: Path
) -> None:
    candidate = make_model(version=1, answer=always(1))
    verdict = run(plan(candidate, None, {"root": str(pictures)}))
    assert (verdict["passed"], verdict["dataset"]["result"]) == (True, "NotCompared")
    verdict = run(plan(candidate, None, {"root": str(pictures), "min_accuracy_percent": 90}))
    assert (verdict["exit_code"], verdict["reason"]) == (1, "AcceptanceFailed")
    assert "is right on 50.00 % of 40 labelled pictures" in verdict["message"]


def test_each_version_gets_the_picture_in_its_own_size(make_model: MakeModel, pictures: Path) -> None:
    large = {**CONTRACT, "input": {"height": 48, "width": 40, "resize": "bicubic", "fit": "crop"}}
    candidate, serving = make_model(version=2, contract=large), make_model(version=1)
    assert run(plan(candidate, serving, {"root": str(pictures)}))["passed"]
    photograph = (pictures / "pizza" / "0.jpg").read_bytes()
    for model, contract in [(candidate, large), (serving, CONTRACT)]:
        expected = prepare(photograph, parse_contract(contract).input).tobytes()
        sent = [each.inputs["pixels"].tensor_content for each in model.requests]
        assert sent.count(expected) == 20
        assert all(each.inputs["pixels"].tensor_shape.dim[0].size == 1 for each in model.requests)


def test_the_serving_version_never_gets_two_pictures_at_once(make_model: MakeModel, pictures: Path) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def answer(pixels: np.ndarray) -> np.ndarray:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return redness(pixels)

    run(plan(make_model(version=2), make_model(version=1, answer=answer), {"root": str(pictures)}))
    assert most == 1


def test_a_folder_that_names_no_class_of_the_candidate_is_refused(
    make_model: MakeModel, pictures: Path
) -> None:
    (pictures / "pizza").rename(pictures / "pizzas")
    verdict = run(plan(make_model(version=2), make_model(version=1), {"root": str(pictures)}))
    assert (verdict["exit_code"], verdict["reason"]) == (1, "DatasetInvalid")
    assert "no classes of the candidate: pizzas. Its classes are not_pizza, pizza." in verdict["message"]


def test_pictures_of_a_new_class_are_not_counted_against_the_serving_version(
    make_model: MakeModel, pictures: Path
) -> None:
    """Otherwise a gain that the serving version cannot have would hide a loss in the other classes."""
    (pictures / "calzone").mkdir()
    for number in range(60):
        (pictures / "calzone" / f"{number}.jpg").write_bytes(picture("blue"))
    classes = [*CONTRACT["classes"], {"name": "calzone", "message": "Calzone."}]  # type: ignore[misc]

    def only_calzone(pixels: np.ndarray) -> np.ndarray:
        return np.tile([0.1, 0.1, 0.8], (len(pixels), 1))

    candidate = make_model(version=2, contract={**CONTRACT, "classes": classes}, answer=only_calzone)
    document = plan(candidate, make_model(version=1), {"root": str(pictures)}, allow_class_change=True)
    verdict = run(document)
    assert verdict["reason"] == "WorseThanServing"
    assert "on 40 labelled pictures" in verdict["message"]
    rows = {row["class"]: row for row in verdict["dataset"]["classes"]}
    assert rows["calzone"] == {"class": "calzone", "pictures": 60, "candidate_accuracy_percent": "100.00"}


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


def test_a_serving_version_that_fails_on_a_picture_is_wrong_about_it(
    make_model: MakeModel, pictures: Path
) -> None:
    serving = make_model(version=1, fail_with=grpc.StatusCode.INTERNAL)
    dataset = run(plan(make_model(version=2), serving, {"root": str(pictures)}))["dataset"]
    assert (dataset["result"], dataset["only_candidate"]) == ("NotShownWorse", 40)


def test_a_serving_version_that_is_lost_does_not_keep_its_successor_out(
    make_model: MakeModel, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls.VersionCalls, "patience_seconds", 1.0)
    monkeypatch.setattr(calls.VersionCalls.__init__, "__defaults__", (1.0,))
    serving = make_model(version=1)
    asked = 0

    def answer(pixels: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += 1
        if asked > 10:
            serving.fail_with = grpc.StatusCode.UNAVAILABLE
        return redness(pixels)

    serving.answer = answer
    verdict = run(plan(make_model(version=2), serving, {"root": str(pictures)}))
    assert verdict["passed"]
    dataset = verdict["dataset"]
    assert (dataset["pictures"], dataset["both"]) == (40, 11)
    assert "The serving version was lost after 11 pictures" in dataset["message"]


def test_a_serving_version_whose_only_pod_restarts_is_waited_for(
    make_model: MakeModel, pictures: Path
) -> None:
    serving = make_model(version=1)
    asked = threading.Event()

    def answer(pixels: np.ndarray) -> np.ndarray:
        asked.set()
        time.sleep(0.02)
        return redness(pixels)

    serving.answer = answer

    def restart() -> None:
        asked.wait(20)
        serving.stop()
        time.sleep(2)
        serving.start()

    thread = threading.Thread(target=restart)
    thread.start()
    verdict = run(plan(make_model(version=2), serving, {"root": str(pictures)}))
    thread.join()
    assert verdict["dataset"]["both"] == 40


def test_a_missing_serving_version_is_reported(
    make_model: MakeModel, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "PATIENCE_SECONDS", 1.0)
    serving = make_model(version=1)
    serving.stop()
    verdict = run(plan(make_model(version=2), serving, {"root": str(pictures)}))
    assert (verdict["passed"], verdict["dataset"]["result"]) == (True, "NotCompared")
    assert "could not be compared with the serving version" in verdict["message"]


def test_a_candidate_that_fails_on_a_picture_is_refused_with_its_name(
    make_model: MakeModel, tmp_path: Path
) -> None:
    (tmp_path / "pizza").mkdir()
    (tmp_path / "pizza" / "odd.jpg").write_bytes(picture("red"))
    candidate = make_model(version=2, refuse=lambda pixels: grpc.StatusCode.OUT_OF_RANGE)
    verdict = run(plan(candidate, None, {"root": str(tmp_path)}))
    assert (verdict["exit_code"], verdict["reason"]) == (1, "ContractInvalid")
    assert "'pizza/odd.jpg'" in verdict["message"]


def test_an_exceeded_deadline_reports_the_number_of_classified_pictures(
    make_model: MakeModel, pictures: Path
) -> None:
    asked, ended = itertools.count(), threading.Event()

    def answer(pixels: np.ndarray) -> np.ndarray:
        if next(asked) >= 10:  # the deadline comes in the middle of the pictures, on any machine
            ended.wait(60)
        return redness(pixels)

    candidate = make_model(version=2, answer=answer)
    verdict = run(plan(candidate, None, {"root": str(pictures)}, deadline_seconds=6))
    ended.set()
    assert (verdict["exit_code"], verdict["reason"]) == (2, "VerificationFailed")
    assert (
        "of 40 pictures were done. Raise spec.rollout.acceptance.dataset.timeoutSeconds"
        in (verdict["message"])
    )


def test_the_pod_reports_its_progress_on_the_internal_port(
    make_model: MakeModel, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked, observed = itertools.count(), threading.Event()

    def answer(pixels: np.ndarray) -> np.ndarray:
        assert next(asked) < 10 or observed.wait(60)
        return redness(pixels)

    document = plan(make_model(version=2, answer=answer), None, {"root": str(pictures)})
    path, port = tmp_path_factory.mktemp("plan") / "plan.json", free_port()
    path.write_text(json.dumps(document))
    command = [sys.executable, "-m", "imageclassifier_gateway.verify", "--plan", str(path)]
    program = subprocess.Popen(
        command, env={"GATEWAY_INTERNAL_PORT": str(port)}, stdout=subprocess.PIPE, text=True
    )

    def progress() -> dict[str, Any] | None:
        try:
            return dict(request(port, "GET", "/progress").json)
        except OSError:
            return None

    def is_on_its_way() -> bool:
        found = progress()
        return found is not None and 0 < found["done"] < found["total"] == 40

    eventually(is_on_its_way, "some pictures are done")
    assert request(port, "GET", "/metrics").status == 404
    observed.set()
    output, _ = program.communicate(timeout=60)
    assert (program.returncode, json.loads(output)["dataset"]["pictures"]) == (0, 40)
