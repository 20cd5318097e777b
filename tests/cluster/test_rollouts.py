"""Rollouts under steady requests: what goes wrong on the way costs nobody an answer, and the status says what
it was.

test_examples.py has the rollouts that go well. Here one ImageClassifier with tiny models goes from one
trouble into the next.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cluster_testbed import Classifier, Kubectl, Wait, ensure_tiny_models, plain_picture, tiny_classifier
from laptop.traffic import Tally

pytestmark = pytest.mark.cluster

NAME = "rollouts-test"
GOOD, ALSO_GOOD, INVERTED, CRASHES, SLOW = 1, 2, 3, 4, 5
VARIANTS = {GOOD: "good", ALSO_GOOD: "good", INVERTED: "inverted", CRASHES: "crash", SLOW: "slow"}
LIGHT, WHITE = plain_picture(215), plain_picture(255)
"""White is what the model that crashes cannot bear."""
CRASH_REASONS = ("OutOfMemory", "TooManyErrors", "ContainerCrashed")
"""Which comes first is chance; some containerds tell an out-of-memory kill as an error (containerd#12372)."""


@pytest.fixture(scope="module")
def tiny(installed: object, module_kubectl: Kubectl, wait_for: Wait) -> Classifier:
    """The good version 1 serves."""
    ensure_tiny_models({f"{NAME}:{version}": variant for version, variant in VARIANTS.items()})
    model = {"name": NAME, "version": GOOD, "source": {"image": {"reference": f"{NAME}:{{version}}"}}}
    module_kubectl.apply(tiny_classifier("tiny", model))
    classifier = Classifier(module_kubectl, wait_for, "tiny")
    classifier.wait_ready(GOOD)
    return classifier


def ask_for(tiny: Classifier, version: int, **rollout: Any) -> None:
    """Patches the version and the rollout settings of the spec, as a user does."""
    change = [
        {"op": "replace", "path": "/spec/model/version", "value": version},
        {"op": "add", "path": "/spec/rollout", "value": {"keepPreviousSeconds": 0, **rollout}},
    ]
    tiny.kubectl("patch", "imageclassifier", "tiny", "--type=json", f"--patch={json.dumps(change)}")


@contextmanager
def served_by_a_good_one(tiny: Classifier, picture: bytes) -> Iterator[tuple[Tally, int]]:
    """Makes sure that a good version is stable, and sends requests; yields the tally and the version."""
    if tiny.status()["servingVersion"] not in (GOOD, ALSO_GOOD) or tiny.status()["phase"] != "Stable":
        ask_for(tiny, GOOD)
        tiny.wait_ready(GOOD)
    with tiny.requests(picture) as tally:
        yield tally, tiny.status()["servingVersion"]


def end_of(tiny: Classifier, version: int, *reasons: str) -> dict[str, Any]:
    """Waits until `version` was rolled back for one of the reasons; returns the status at rest."""

    def is_rolled_back() -> Any:
        status = tiny.status()
        failed = [each for each in status.get("failedVersions", []) if each["version"] == version]
        return failed and status["phase"] == "Stable" and status

    status: dict[str, Any] = tiny.wait_for(is_rolled_back, f"version {version} to be rolled back")
    assert status["failedVersions"][-1]["reason"] in reasons
    assert status["failedVersions"][-1]["version"] == version
    # A gateway that is slow for a moment is unavailable for that moment.
    tiny.wait_for(lambda: tiny.condition("Available")["status"] == "True", "a version to answer")
    assert tiny.condition("Ready")["status"] == tiny.condition("Progressing")["status"] == "False"
    assert tiny.condition("Progressing")["reason"] == status["failedVersions"][-1]["reason"]
    return status


def pods(tiny: Classifier, version: int) -> set[str]:
    selector = "app.kubernetes.io/instance=tiny,app.kubernetes.io/component=serving"
    found = tiny.kubectl.get("pods", f"--selector={selector},imageclassifier.dev/version={version}")
    return {pod["metadata"]["uid"] for pod in found["items"]}


def test_returning_to_the_warm_version_starts_no_pod_and_loses_no_request(tiny: Classifier) -> None:
    with served_by_a_good_one(tiny, LIGHT) as (tally, before):
        new = ALSO_GOOD if before == GOOD else GOOD
        warm = pods(tiny, before)
        ask_for(tiny, new, keepPreviousSeconds=600)
        tiny.wait_reason("Progressing", "Settling")
        tiny.wait_for(lambda: tally.by_version[new], "the new version to answer")
        ask_for(tiny, before, keepPreviousSeconds=600)
        tiny.wait_for(lambda: tiny.status()["servingVersion"] == before, "the version before to serve")
        assert pods(tiny, before) == warm
        ask_for(tiny, before)
        tiny.wait_ready(before)
    assert tally.failures == []
    assert set(tally.by_version) == {before, new}
    assert "failedVersions" not in tiny.status()


def test_a_template_of_the_model_servers_reaches_their_pods_and_loses_no_request(tiny: Classifier) -> None:
    toleration = {"key": "models", "operator": "Exists", "effect": "NoSchedule"}
    variable = {"name": "TF_CPP_MIN_LOG_LEVEL", "value": "1"}
    template = {
        "metadata": {"labels": {"team": "food"}, "annotations": {"example.org/costs": "low"}},
        "spec": {
            "tolerations": [toleration],
            "containers": [{"name": "model-server", "env": [variable]}],
        },
    }
    with served_by_a_good_one(tiny, LIGHT) as (tally, version):
        before = pods(tiny, version)
        patch = json.dumps({"spec": {"serving": {"template": template}}})
        tiny.kubectl("patch", "imageclassifier", "tiny", "--type=merge", f"--patch={patch}")
        tiny.wait_for(lambda: before.isdisjoint(pods(tiny, version)), "the model servers to be replaced")
        tiny.wait_ready(version)
    assert tally.failures == []
    assert set(tally.by_version) == {version}
    selector = "app.kubernetes.io/instance=tiny,app.kubernetes.io/component=serving,team=food"
    [pod] = tiny.kubectl.get("pods", f"--selector={selector}")["items"]
    assert pod["metadata"]["annotations"]["example.org/costs"] == "low"
    assert toleration in pod["spec"]["tolerations"]
    assert variable in pod["spec"]["containers"][0]["env"]


def test_a_third_version_requested_during_a_rollout_replaces_the_candidate(tiny: Classifier) -> None:
    with served_by_a_good_one(tiny, LIGHT) as (tally, before):
        new = ALSO_GOOD if before == GOOD else GOOD
        ask_for(tiny, SLOW, steps=[{"percent": 10, "durationSeconds": 600}])
        tiny.wait_reason("Progressing", "Shifting")
        ask_for(tiny, new)
        tiny.wait_ready(new)
    assert tally.failures == []
    assert {before, new} <= set(tally.by_version) <= {before, new, SLOW}


def test_a_candidate_that_crashes_under_traffic_is_rolled_back_without_a_failed_request(
    tiny: Classifier,
) -> None:
    with served_by_a_good_one(tiny, WHITE) as (tally, before):
        ask_for(tiny, CRASHES, steps=[{"percent": 50, "durationSeconds": 600}], minRequests=10)
        status = end_of(tiny, CRASHES, *CRASH_REASONS)
    assert tally.failures == []
    assert set(tally.by_version) == {before} == {status["servingVersion"]}


def test_a_promoted_version_that_crashes_is_rolled_back_without_a_failed_request(
    tiny: Classifier,
) -> None:
    with served_by_a_good_one(tiny, WHITE) as (tally, before):
        ask_for(tiny, CRASHES, keepPreviousSeconds=60, minRequests=10)
        status = end_of(tiny, CRASHES, *CRASH_REASONS)
    assert tally.failures == []
    assert set(tally.by_version) == {before} == {status["servingVersion"]}


def test_a_candidate_that_is_too_slow_is_rolled_back(tiny: Classifier) -> None:
    with served_by_a_good_one(tiny, LIGHT) as (tally, before):
        steps = [{"percent": 20, "durationSeconds": 600}]
        ask_for(
            tiny,
            SLOW,
            steps=steps,
            minRequests=10,
            limits={"p99Milliseconds": 75, "errorRateIncrease": "100%"},
        )
        status = end_of(tiny, SLOW, "TooSlow")
    assert tally.failures == []
    assert status["servingVersion"] == before
    assert "75 ms" in status["failedVersions"][-1]["message"]


def test_a_shadow_that_disagrees_never_answers_and_the_status_shows_where_they_differ(
    tiny: Classifier,
) -> None:
    with served_by_a_good_one(tiny, LIGHT) as (tally, before):
        ask_for(tiny, INVERTED, shadow={"percent": 100, "minAgreementRate": "90%", "minCompared": 30})
        status = end_of(tiny, INVERTED, "Disagrees")
    assert tally.failures == []
    assert set(tally.by_version) == {before}
    assert "dark instead of light" in status["failedVersions"][-1]["message"]
