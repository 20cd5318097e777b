"""The verification of a candidate, as the Job runs it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from fake_model import CONTRACT, FakeModel, redness
from gateway_testbed import picture
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.contract import parse_contract, pixels_digest
from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_gateway.tracing import Metadata, Span
from imageclassifier_gateway.verify.verification import verify
from imageclassifier_gateway.verify.verification_verdict import MAX_BYTES, CaseResult, Verdict

MakeModel = Callable[..., FakeModel]


def golden(shift: float = 0.0) -> dict[str, Any]:
    """Golden pictures with what the model of these tests gives for them, moved by `shift`."""
    png = picture("#c04010", kind="PNG")
    model = redness(prepare(png, parse_contract(CONTRACT).input)[None])[0].astype(float)
    probabilities = model + np.array([shift, -shift])
    case = {"png": base64.b64encode(png).decode(), "probabilities": probabilities.tolist()}
    return {"schema": 1, "tolerance": 0.001, "cases": [case]}


def case(name: str, colour: str, label: str, least: float = 0.5) -> dict[str, Any]:
    data = base64.b64encode(picture(colour)).decode()
    return {"name": name, "label": label, "min_probability": least, "picture": {"base64": data}}


def plan(candidate: FakeModel, **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "model": "pizza-model",
        "candidate": {"version": candidate.version, "target": candidate.target, "contract": None},
        "serving": None,
        "allow_class_change": False,
        "cases": [case("margherita", "red", "pizza"), case("salad", "green", "not_pizza")],
        "min_pass_percent": 100,
        "deadline_seconds": 60,
        **changes,
    }


def run(document: dict[str, Any]) -> Any:
    """The result of the verification and its exit code."""
    verdict = verify(document, Settings())
    return json.loads(verdict.text()) | {"exit_code": verdict.exit_code}


def test_a_good_candidate_passes_with_its_figures(make_model: MakeModel) -> None:
    verdict = run(plan(make_model(version=2, golden=golden())))
    assert (verdict["exit_code"], verdict["passed"], verdict["reason"]) == (0, True, None)
    assert verdict["golden"]["cases"] == 1
    assert verdict["golden"]["worst_difference"] < 1e-6
    assert 0 < verdict["latency_milliseconds"]["p50"] <= verdict["latency_milliseconds"]["p99"]
    assert (verdict["cases_total"], verdict["cases_passed"]) == (2, 2)


def test_a_golden_picture_with_other_pixels_than_at_training_is_a_warning(make_model: MakeModel) -> None:
    document = golden()
    png = base64.b64decode(document["cases"][0]["png"])
    digest = pixels_digest(prepare(png, parse_contract(CONTRACT).input))
    for pixels, warned in ((digest, 0), ("sha256:00", 1)):
        document["cases"][0]["pixels"] = pixels
        verdict = run(plan(make_model(version=2, golden=document)))
        assert verdict["passed"]
        assert len(verdict.get("warnings", [])) == warned
    assert verdict["warnings"][0].startswith("Golden pictures 0 have other pixels than at training")


def test_a_candidate_that_mistakes_a_picture_is_refused_with_the_case_first(make_model: MakeModel) -> None:
    cases = [case("margherita", "red", "pizza"), case("salad", "red", "not_pizza")]
    verdict = run(plan(make_model(version=2, golden=golden()), cases=cases))
    assert (verdict["exit_code"], verdict["reason"]) == (1, "AcceptanceFailed")
    assert verdict["cases"][0]["name"] == "salad"
    assert verdict["cases"][0]["label"] == "pizza"
    assert not verdict["cases"][0]["passed"]
    assert "'salad': expected not_pizza, got pizza" in verdict["message"]
    assert "1 of 2" in verdict["message"]


def test_the_right_label_with_too_little_probability_is_not_enough(make_model: MakeModel) -> None:
    candidate = make_model(version=2, answer=lambda pixels: np.tile([0.4, 0.6], (len(pixels), 1)))
    cases = [case("margherita", "red", "pizza", least=0.8)]
    assert run(plan(candidate, cases=cases))["reason"] == "AcceptanceFailed"
    cases = [case("margherita", "red", "pizza", least=0.6)]
    assert run(plan(candidate, cases=cases))["passed"]


def test_an_unsure_prediction_of_the_right_class_does_not_pass(make_model: MakeModel) -> None:
    document = plan(make_model(version=2, golden=golden()), cases=[case("one", "#c04010", "pizza")])
    document["candidate"]["unsure"] = {"below": 1.0, "message": "Look nearer."}
    verdict = run(document)
    assert verdict["reason"] == "AcceptanceFailed"
    assert {each["label"] for each in verdict["cases"]} == {"(unsure)"}


def test_an_acceptance_picture_unlike_the_training_pictures_does_not_pass(make_model: MakeModel) -> None:
    familiarity = {"quantiles": [[0.5, 1.0], [1.0, 2.0]], "unfamiliar": {"beyond": 1.0}}
    contract = {**CONTRACT, "familiarity": familiarity}
    far = make_model(version=2, contract=contract, distance=lambda pixels: [2.5] * len(pixels))
    cases = [case("one", "#c04010", "pizza")]
    verdict = run(plan(far, cases=cases))
    assert verdict["reason"] == "AcceptanceFailed"
    assert {each["label"] for each in verdict["cases"]} == {"(unlike the training pictures)"}
    document = plan(far, cases=cases)
    document["candidate"]["unfamiliar"] = {"ignored": True}
    assert run(document)["passed"]


def test_a_rule_for_unfamiliar_pictures_needs_a_model_that_knows_them(make_model: MakeModel) -> None:
    document = plan(make_model(version=2))
    document["candidate"]["unfamiliar"] = {"beyond": 0.99}
    verdict = run(document)
    assert verdict["reason"] == "ContractInvalid"
    assert "spec.unfamiliar needs a model" in verdict["message"]


def test_a_model_that_does_not_know_unfamiliar_pictures_passes_if_these_keep_their_label(
    make_model: MakeModel,
) -> None:
    document = plan(make_model(version=2))
    document["candidate"]["unfamiliar"] = {"ignored": True}
    assert run(document)["passed"]


@pytest.mark.parametrize(("least", "passes"), [(51, False), (50, True), (0, True)])
def test_only_the_wanted_share_of_pictures_must_pass(make_model: MakeModel, least: int, passes: bool) -> None:
    cases = [case("right", "red", "pizza"), case("wrong", "red", "not_pizza")]
    assert run(plan(make_model(version=2), cases=cases, min_pass_percent=least))["passed"] == passes


def test_an_expected_label_that_the_model_does_not_have_fails(make_model: MakeModel) -> None:
    assert (
        run(plan(make_model(version=2), cases=[case("x", "red", "calzone")]))["reason"] == "AcceptanceFailed"
    )


def test_a_model_that_answers_its_golden_pictures_differently_is_refused(make_model: MakeModel) -> None:
    verdict = run(plan(make_model(version=2, golden=golden(shift=0.01))))
    assert (verdict["exit_code"], verdict["reason"]) == (1, "GoldenFailed")
    assert verdict["golden"]["worst_difference"] == pytest.approx(0.01, abs=1e-4)


def test_changed_classes_need_permission(make_model: MakeModel) -> None:
    serving = make_model(version=1)
    classes = [*CONTRACT["classes"], {"name": "calzone", "message": "Calzone."}]  # type: ignore[misc]
    candidate = make_model(
        version=2,
        contract={**CONTRACT, "classes": classes},
        answer=lambda p: np.tile([0.1, 0.8, 0.1], (len(p), 1)),
    )
    document = plan(candidate, serving={"version": 1, "target": serving.target}, cases=[])
    verdict = run(document)
    assert (verdict["exit_code"], verdict["reason"]) == (1, "ClassesChanged")
    assert "allowClassChange" in verdict["message"]
    assert run({**document, "allow_class_change": True})["passed"]


def test_a_serving_version_that_is_gone_does_not_keep_its_successor_out(make_model: MakeModel) -> None:
    serving = make_model(version=1)
    serving.stop()
    verdict = run(plan(make_model(version=2), serving={"version": 1, "target": serving.target}))
    assert verdict["passed"]
    assert "could not be compared with the serving version" in verdict["message"]


@pytest.mark.parametrize(
    "fault",
    [
        {"contract": None},
        {"contract": {"schema": 1}},
        {"answer": lambda pixels: np.full((len(pixels), 3), 0.3)},
        {"answer": lambda pixels: np.full((len(pixels), 2), np.nan)},
        {"fail_with": grpc.StatusCode.INTERNAL},
    ],
    ids=["no contract", "broken contract", "other classes", "not a number", "fails"],
)
def test_a_candidate_whose_contract_does_not_hold_is_refused(
    make_model: MakeModel, fault: dict[str, Any]
) -> None:
    verdict = run(plan(make_model(version=2, **fault), cases=[]))
    assert (verdict["exit_code"], verdict["reason"]) == (1, "ContractInvalid")


def test_an_unreachable_candidate_gives_an_inconclusive_result(make_model: MakeModel) -> None:
    candidate = make_model(version=2)
    candidate.stop()
    verdict = run(plan(candidate, deadline_seconds=1))
    assert (verdict["exit_code"], verdict["reason"], verdict["passed"]) == (2, "VerificationFailed", False)


@pytest.mark.parametrize(
    "wrong",
    [{"base64": "bm8="}, {"base64": "?"}, {"file": "/nowhere.jpg"}, {"url": "http://169.254.169.254/"}],
    ids=["no picture", "no base64", "no file", "refused URL"],
)
def test_an_unavailable_picture_does_not_count_against_the_model(
    make_model: MakeModel, wrong: dict[str, str]
) -> None:
    cases = [{"name": "lost", "label": "pizza", "min_probability": 0.5, "picture": wrong}]
    verdict = run(plan(make_model(version=2), cases=cases))
    assert (verdict["exit_code"], verdict["reason"]) == (2, "VerificationFailed")
    assert "'lost'" in verdict["message"]


def test_a_picture_missing_from_its_config_map_is_reported_with_both_names(make_model: MakeModel) -> None:
    picture = {"file": "/etc/imageclassifier/pictures/lunch/missing.jpg"}
    cases = [{"name": "a", "label": "pizza", "min_probability": 0.5, "picture": picture}]
    message = run(plan(make_model(version=2), cases=cases))["message"]
    assert "there is no key missing.jpg in a ConfigMap lunch; create it" in message


def test_a_model_from_elsewhere_is_verified_by_the_contract_of_the_plan(make_model: MakeModel) -> None:
    candidate = make_model(version=2, contract=None)
    document = plan(candidate)
    document["candidate"]["contract"] = CONTRACT
    assert run(document)["passed"]


def test_the_program_writes_the_verdict_where_kubernetes_reads_it(
    make_model: MakeModel, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture("red"))
    cases = [{"name": "a", "label": "not_pizza", "min_probability": 0.5, "picture": {"file": str(photo)}}]
    (tmp_path / "plan.json").write_text(json.dumps(plan(make_model(version=2, golden=golden()), cases=cases)))
    termination_log = tmp_path / "termination-log"
    termination_log.touch()
    command = [sys.executable, "-m", "imageclassifier_gateway.verify", "--plan", str(tmp_path / "plan.json")]
    command += ["--termination-log", str(termination_log)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert json.loads(result.stdout) == json.loads(termination_log.read_text())
    assert json.loads(result.stdout)["cases"][0]["label"] == "pizza"
    assert subprocess.run([*command[:-3], "/nowhere"], capture_output=True, check=False).returncode == 2


class Recorded(Span):
    """A span with a trace that model servers can continue."""

    def metadata(self, given: Metadata) -> Metadata:
        return (*given, ("traceparent", "00-trace"))


@pytest.mark.parametrize("explained", [True, False], ids=["explanation", "sample pictures"])
def test_every_call_with_pictures_continues_the_trace(make_model: MakeModel, explained: bool) -> None:
    def maps(pixels: Any) -> Any:
        return np.log(np.maximum(redness(pixels), 1e-9))[:, np.newaxis, np.newaxis, :]

    candidate = make_model(version=2, contract={**CONTRACT, "explain": {}} if explained else None, maps=maps)
    document = plan(candidate)
    if not explained:
        document["candidate"]["contract"] = CONTRACT
    verdict = verify(document, Settings(), span=Recorded())
    assert verdict.reason is None, verdict.message
    assert {request.model_spec.signature_name for request in candidate.requests} == (
        {"serving_default", "explain"} if explained else {"serving_default"}
    )
    assert [each.get("traceparent") for each in candidate.metadata] == ["00-trace"] * len(candidate.requests)


@pytest.mark.parametrize("count", [0, 1, 10, 1000])
def test_a_verdict_always_fits_into_a_termination_message(count: int) -> None:
    verdict = Verdict()
    verdict.cases = [
        CaseResult("é" * 300 + str(i), "expected" * 30, "label" * 30, 0.123456789, passed=i % 3 > 0)
        for i in range(count)
    ]
    verdict.fail("AcceptanceFailed", "ä" * 5000)
    document = json.loads(verdict.text())
    assert len(verdict.text().encode()) <= MAX_BYTES
    assert document["cases_total"] == count
    shown = [each["passed"] for each in document["cases"]]
    assert shown == sorted(shown)
    assert not count or shown
