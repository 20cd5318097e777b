"""The verification with a labelled data set: both versions get the same pictures, as the Job sends them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from free_ports import free_port

from dataset_verification import MakeModel, always, plan, run
from fake_model import CONTRACT, redness
from gateway_process import request
from gateway_testbed import eventually, picture
from imageclassifier_gateway.contract import parse_contract
from imageclassifier_gateway.pixels.images import prepare


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


@pytest.mark.parametrize(
    "changes", [{"height": 48, "width": 40, "resize": "bicubic", "fit": "crop"}, {"decode": {"margin": 0.5}}]
)
def test_each_version_gets_the_picture_as_its_own_contract_says(
    make_model: MakeModel, pictures: Path, changes: dict[str, Any]
) -> None:
    large = {**CONTRACT, "input": {**CONTRACT["input"], **changes}}  # type: ignore[dict-item]
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
