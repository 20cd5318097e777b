"""The result of a data set, from the gateway's program to the status."""

import json
from typing import Any

import pytest

from crd_schema import STATUS, complaints
from imageclassifier_gateway.verify.dataset_comparison import Comparison, Counts
from imageclassifier_gateway.verify.verification_verdict import DatasetResult
from imageclassifier_gateway.verify.verification_verdict import Verdict as ProgramVerdict
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.api.status_limits import within_limits
from imageclassifier_operator.observe.dataset_result import with_dataset
from imageclassifier_operator.observe.gateway_client import parse_progress
from imageclassifier_operator.observe.types import Verdict, VerificationProgress
from imageclassifier_operator.observe.verification_verdict import verdict

JOB = {"metadata": {"name": "pizza-verify-v2-a"}}


def read(text: str, code: int) -> Verdict:
    ended = {"name": "verify", "state": {"terminated": {"exitCode": code, "message": text}}}
    found = verdict(JOB, [{"metadata": {"name": "p"}, "status": {"containerStatuses": [ended]}}])
    assert found is not None
    return found


def program_verdict(classes: dict[str, Counts], serving: int | None = 1) -> ProgramVerdict:
    comparison = Comparison(candidate=2, serving=serving, classes=classes)
    conclusion = comparison.conclusion()
    result = DatasetResult(comparison, conclusion, total=conclusion.counts.pictures, unreadable=0)
    said = ProgramVerdict(dataset=result)
    if not conclusion.passed:
        said.fail(conclusion.result, result.message)
    return said


def test_a_refusal_has_its_table_in_the_status() -> None:
    said = program_verdict({"pizza": Counts(700, 60, 10, 17), "not_pizza": Counts(770, 5, 6, 6)})
    found = read(said.text(), said.exit_code)
    assert (found.passed, found.conclusive, found.reason) == (False, True, Reason.WORSE_THAN_SERVING)
    assert "Version 2 is worse than version 1 on 1,574 labelled pictures" in found.message
    dataset = found.details["dataset"]
    assert (dataset["total"], dataset["done"]) == (1574, 1574)
    assert dataset["classes"][0] == {
        "class": "pizza",
        "pictures": 787,
        "candidateAccuracyPercent": "90.22",
        "servingAccuracyPercent": "96.57",
        "bothRight": 700,
        "onlyServingRight": 60,
        "onlyCandidateRight": 10,
        "bothWrong": 17,
    }


@pytest.mark.parametrize("serving", [1, None])
@pytest.mark.parametrize("classes", [1, 1000])
def test_every_result_fits_the_crd(classes: int, serving: int | None) -> None:
    counts = {
        f"{'é' * 90}{n}": Counts(9, 2, 1) if serving else Counts(right=3, wrong=9) for n in range(classes)
    }
    found = read(program_verdict(counts, serving).text(), 0)
    status = within_limits({"verification": {"version": 2, **found.details}})
    assert list(complaints(STATUS, status, "status")) == []
    assert status["verification"]["dataset"]["classes"]


def test_a_gateway_image_without_data_sets_lets_no_version_pass() -> None:
    found = read(json.dumps({"schema": 1, "passed": True, "message": "", "cases": []}), 0)
    checked = with_dataset(found)
    assert (checked.passed, checked.conclusive) == (False, False)
    assert "spec.gateway.image is too old" in checked.message
    said = program_verdict({"pizza": Counts(both=10)})
    assert with_dataset(read(said.text(), 0)).passed


def test_a_data_set_that_cannot_be_copied_is_reported_with_the_words_of_cp() -> None:
    ended = {"exitCode": 1, "message": "cp: can't stat '/dataset/.': No such file or directory\n"}
    status: dict[str, Any] = {
        "initContainerStatuses": [{"name": "dataset-files", "state": {"terminated": ended}}]
    }
    found = verdict(JOB, [{"metadata": {"name": "p"}, "status": status}])
    assert found is not None
    assert not found.conclusive
    assert "dataset-files of pod p could not copy the data set (exit code 1): cp: can't stat" in found.message
    ended["exitCode"] = 0
    assert verdict(JOB, [{"metadata": {"name": "p"}, "status": status}]) is None


def test_the_progress_is_read_once_the_pictures_are_listed() -> None:
    assert parse_progress({"schema": 1, "total": 0, "done": 0, "unreadable": 0}) is None
    assert parse_progress({"schema": 1, "total": 9, "done": 3, "unreadable": 1}) == VerificationProgress(
        9, 3, 1
    )


@pytest.mark.parametrize(
    "wrong",
    [{"schema": 2}, {"done": 10}, {"done": -1}, {"unreadable": 4}, {"total": 2**40}, {"done": None}],
    ids=str,
)
def test_an_invalid_progress_document_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        parse_progress({"schema": 1, "total": 9, "done": 3, "unreadable": 1} | wrong)
