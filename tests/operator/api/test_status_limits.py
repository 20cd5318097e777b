"""Every status fits the limits of the CRD, however long the values from pods, gateways and verdicts are."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from crd_schema import STATUS, complaints
from imageclassifier_operator.api import ImageSource, ModelVersion, ServingSettings, status_limits
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewayReport,
    GatewaySnapshot,
    Problem,
    ShadowReport,
    Snapshot,
    VersionSnapshot,
)
from imageclassifier_operator.observe.verification_verdict import verdict
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.state import FailedVersion, Phase, State
from imageclassifier_operator.status.document import Facts, status
from operator_process import install_crd

LONG = "Bernese mountain dog, " * 500
JOB = {"metadata": {"name": "pizza-verify-v2-a"}}


def served(version: int) -> ModelVersion:
    return ModelVersion(version, "pizza", ImageSource("pizza"), ServingSettings(), None, "tf")


def verdict_saying(**said: Any) -> Any:
    text = json.dumps({"passed": False, "reason": "AcceptanceFailed", "message": LONG, **said})
    ended = {"name": "verify", "state": {"terminated": {"exitCode": 1, "message": text}}}
    return verdict(JOB, [{"metadata": {"name": "p"}, "status": {"containerStatuses": [ended]}}])


def worst() -> dict[str, Any]:
    """A shadow rollout in which all messages and names have their maximum length."""
    cells = tuple((f"{LONG}{number}", f"{number}{LONG}", 2**40) for number in range(50))
    shadow = ShadowReport(2, compared=2**41, agreed=1, confusion=cells)
    case = {"name": LONG, "expected": LONG, "label": LONG, "probability": 1, "passed": False}
    failed = tuple(FailedVersion(number, "a" * 12, "TooSlow", LONG, 0.0) for number in range(10))
    state = State(phase=Phase.SHIFT, serving=served(1), candidate=served(2), shadow_percent=50, failed=failed)
    problem = Problem(Reason.API_REFUSED, LONG)
    seen = Snapshot(
        versions={1: VersionSnapshot("", complete=False, ready_pods=0, replicas=3, problem=problem)},
        gateways=(GatewaySnapshot("g", ready=False, report=GatewayReport("s", 1, shadow=shadow)),),
        gateway_problem=problem,
        verdict=verdict_saying(cases_total=2**31 - 1, cases=[case] * 99),
    )
    facts = Facts("pizza", 3, now=1000.0, url=f"http://{LONG}", model_digest=LONG, blocked=problem)
    return status(facts, Goal(wanted=served(2), attempt="a"), state, seen)


def test_the_longest_values_are_truncated_to_the_limits_of_the_crd() -> None:
    told = worst()
    assert list(complaints(STATUS, told, "status")) == []
    assert told["shadow"]["confusion"][0]["serving"].startswith("Bernese mountain dog")
    assert told["shadow"]["confusion"][0]["serving"].endswith("…")
    assert len(told["verification"]["cases"]) == 32


def test_a_url_or_digest_that_is_too_long_is_left_out() -> None:
    assert not {"url", "modelDigest"} & set(worst())


@pytest.mark.apiserver
def test_the_api_server_takes_it_too(apiserver: ControlPlane, namespace: str) -> None:
    install_crd(apiserver)
    path = f"/apis/imageclassifier.dev/v1alpha1/namespaces/{namespace}/imageclassifiers"
    pizza = {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": "pizza"},
        "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza"}}}},
    }
    apiserver.request("POST", path, pizza)
    told = worst()
    merge = "application/merge-patch+json"
    body = {"status": told}
    stored = apiserver.request("PATCH", f"{path}/pizza/status?fieldValidation=Strict", body, merge)
    assert stored["status"] == told


@pytest.mark.parametrize(
    "nonsense",
    [{"cases_total": 2**31}, {"cases_passed": -1}, {"golden": {"worst_difference": float("nan")}}],
)
def test_a_verification_result_with_impossible_figures_is_inconclusive(nonsense: dict[str, Any]) -> None:
    assert not verdict_saying(**nonsense).conclusive


def limits(schema: Mapping[str, Any], path: str, word: str) -> Iterator[tuple[str, int]]:
    """Yields the path and the value of each `word` limit, such as `maxLength`, below `schema`."""
    if word in schema and "enum" not in schema:
        yield path, schema[word]
    for name, field in schema.get("properties", {}).items():
        yield from limits(field, f"{path}.{name}".lstrip("."), word)
    if "items" in schema:
        yield from limits(schema["items"], f"{path}[]", word)


def test_the_bounds_are_those_of_the_crd() -> None:
    assert dict(limits(STATUS, "", "maxLength")) == status_limits.MAX_CHARACTERS
    assert dict(limits(STATUS, "", "maxItems")) == status_limits.MAX_ITEMS
