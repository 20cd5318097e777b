"""A data set is classified while a version fails, is lost, restarts or is slow."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

from dataset_verification import MakeModel, plan, run
from fake_model import redness
from gateway_testbed import picture
from imageclassifier_gateway.verify import calls, verification


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
