"""A labelled data set on a real API server: progress, the table of a refusal, and an equal version."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from imageclassifier_gateway.verify.dataset_comparison import Comparison, Counts
from imageclassifier_gateway.verify.verification_verdict import DatasetResult, Verdict
from imageclassifier_operator.observe.types import VerificationProgress
from operator_process import CLASSIFIERS, PASSED, Bench, PlayedGateways

pytestmark = pytest.mark.apiserver

DATASET = {"source": {"image": {"reference": "pizza-test-set:1"}}, "timeoutSeconds": 600}
TOTAL = 10_000


def verdict(classes: dict[str, Counts], candidate: int, serving: int | None) -> str:
    """What the program of the verification writes after it has counted these pictures."""
    comparison = Comparison(candidate, serving, classes=classes)
    conclusion = comparison.conclusion()
    said = Verdict(dataset=DatasetResult(comparison, conclusion, conclusion.counts.pictures, 0))
    if not conclusion.passed:
        said.fail(conclusion.result, conclusion.message)
    return said.text()


EQUAL = {"pizza": Counts(4800, 60, 62, 78), "not_pizza": Counts(4900, 40, 41, 19)}
WORSE = {"pizza": Counts(4500, 360, 62, 78), "not_pizza": Counts(4900, 40, 41, 19)}


@pytest.fixture
def serving(apiserver: Any, namespace: str, gateways: PlayedGateways) -> Iterator[Bench]:
    """Version 1 serves; it was the first, so its data set was not compared."""
    gateways.progress = None
    bench = Bench(apiserver, namespace, gateways)
    rollout = {"keepPreviousSeconds": 0, "acceptance": {"dataset": DATASET}}
    bench.create(1, rollout=rollout, gateway={"timeoutSeconds": 1})
    bench.verify(1, verdict({"pizza": Counts(right=90, wrong=10)}, 1, None))
    bench.wait_ready(1)
    yield bench
    apiserver.request("DELETE", CLASSIFIERS.format(namespace))


def test_the_first_version_has_its_accuracy_in_the_status(serving: Bench) -> None:
    dataset = serving.status()["verification"]["dataset"]
    assert (dataset["result"], dataset["candidateAccuracyPercent"]) == ("NotCompared", "90.00")


def test_the_progress_of_a_verification_is_in_the_status(serving: Bench) -> None:
    serving.bump(2)
    serving.wait_phase("Verify")
    for done in (1_200, 3_120):
        serving.gateways.progress = VerificationProgress(TOTAL, done, 2)
        serving.wait(
            lambda done=done: (
                serving.status().get("verification", {}).get("dataset", {}).get("done") == done
                and f"{done:,} of 10,000 pictures" in serving.condition("Progressing")["message"]
            ),
            f"{done} pictures to be done",
        )
    assert serving.status()["verification"] == {
        "version": 2,
        "dataset": {"total": TOTAL, "done": 3_120, "unreadable": 2},
    }


def test_a_version_that_is_shown_worse_is_refused_with_a_table_and_an_event(serving: Bench) -> None:
    serving.bump(2)
    serving.verify(2, verdict(WORSE, 2, 1))
    serving.wait(lambda: serving.status().get("failedVersions"), "version 2 to fail")
    status = serving.status()
    [failed] = status["failedVersions"]
    assert failed["reason"] == "WorseThanServing"
    assert serving.condition("Ready")["reason"] == "WorseThanServing"
    assert status["servingVersion"] == 1
    classes = status["verification"]["dataset"]["classes"]
    assert [(row["class"], row["onlyServingRight"]) for row in classes] == [
        ("pizza", 360),
        ("not_pizza", 40),
    ]

    def described() -> str:
        arguments = ("describe", "imageclassifier", "pizza", "--namespace", serving.namespace)
        return " ".join(str(serving.apiserver.kubectl(*arguments)).split())

    serving.wait(lambda: "CandidateRefused" in described(), "the Event")
    for line in (
        "Only Serving Right: 360",
        "Candidate Accuracy Percent: 91.24",
        "Version 2 is worse than version 1 on 10,000 labelled pictures: 95.03 % right against 98.00 %.",
    ):
        assert line in described()


def test_an_equal_version_passes(serving: Bench) -> None:
    serving.bump(2)
    serving.verify(2, verdict(EQUAL, 2, 1))
    serving.wait_ready(2)
    assert serving.status()["verification"]["dataset"]["result"] == "NotShownWorse"


def test_a_result_without_the_data_set_does_not_pass_a_version(serving: Bench) -> None:
    serving.bump(2)
    serving.verify(2, PASSED)
    serving.wait(
        lambda: "spec.gateway.image is too old" in json.dumps(serving.condition("Progressing")),
        "the message about the image",
    )
    assert serving.status()["servingVersion"] == 1
