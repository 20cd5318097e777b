"""Autoscalers at work during a canary: no version has too few pods for the traffic that it has, or gets next.

metrics-server and the HorizontalPodAutoscaler controller are real. They need a minute to notice a change.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from cluster_testbed import Classifier, Kubectl, Wait, ensure_tiny_models, plain_picture, tiny_classifier

pytestmark = pytest.mark.cluster

MODEL = "autoscaling-test"
PICTURE = plain_picture(215)
BUSY, CALM = 20, 1
"""Requests per second. A request costs about 4 ms of CPU time, and an idle model server uses 2 to 3
millicores. So the busy traffic of a version needs more than twice TARGET_MILLICORES also on a machine that is
twice as fast, and the calm one less than it.
"""
TARGET_MILLICORES = 8
MOST = 3
CANARY = {"keepPreviousSeconds": 0, "steps": [{"percent": 50, "durationSeconds": 3600}]}
SCALING_SECONDS = 240

Create = Callable[..., Classifier]


@pytest.fixture
def create(installed: object, kubectl: Kubectl, wait_for: Wait) -> Create:
    """Create a classifier whose version 1 serves with one pod."""
    ensure_tiny_models({f"{MODEL}:{version}": "good" for version in (1, 2)})
    source = {"image": {"reference": f"{MODEL}:{{version}}"}}
    model = {"name": MODEL, "version": 1, "source": source}

    def create(name: str, **spec: Any) -> Classifier:
        body = tiny_classifier(name, model, rollout=CANARY, **spec)
        body["spec"]["gateway"]["timeoutSeconds"] = 10
        body["spec"]["serving"]["resources"]["requests"]["cpu"] = f"{TARGET_MILLICORES}m"
        kubectl.apply(body)
        classifier = Classifier(kubectl, wait_for, name)
        classifier.wait_ready(1)
        return classifier

    return create


def pods(classifier: Classifier) -> dict[int, int]:
    """The number of model servers of each version."""
    labels = f"app.kubernetes.io/instance={classifier.name},app.kubernetes.io/component=serving"
    found = classifier.kubectl.get("deployments", f"--selector={labels}")["items"]
    version = "imageclassifier.dev/version"
    return {int(each["metadata"]["labels"][version]): each["status"].get("replicas", 0) for each in found}


def wanted(classifier: Classifier) -> int:
    """The number that the autoscaler wants."""
    spec = classifier.kubectl.get("imageclassifier", classifier.name)["spec"]
    return int(spec.get("replicas", 1))


def wait_pods(classifier: Classifier, numbers: dict[int, int]) -> None:
    name = classifier.name
    classifier.wait_for(lambda: pods(classifier) == numbers, f"{name}: {numbers} pods", SCALING_SECONDS)


def ask_for(classifier: Classifier, version: int) -> None:
    patch = json.dumps({"spec": {"model": {"version": version}}})
    classifier.kubectl("patch", "imageclassifier", classifier.name, "--type=merge", f"--patch={patch}")


def wait_half_way(classifier: Classifier) -> None:
    classifier.wait_for(lambda: classifier.status().get("candidatePercent") == 50, "half of the traffic")


def users_autoscaler(name: str, target: dict[str, str], minimum: int, **scale_down: Any) -> dict[str, Any]:
    metric = {"type": "AverageValue", "averageValue": f"{TARGET_MILLICORES}m"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": minimum,
            "maxReplicas": MOST,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": metric}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0, **scale_down}},
        },
    }


def test_a_surge_during_a_canary_scales_both_versions_and_loses_no_request(create: Create) -> None:
    scaling = {"minReplicas": 1, "maxReplicas": MOST, "targetCPUUtilizationPercentage": 100}
    classifier = create("surge", autoscaling=scaling)
    with classifier.requests(PICTURE, per_second=CALM) as calm:
        ask_for(classifier, 2)
        wait_half_way(classifier)
        assert set(pods(classifier)) == {1, 2}
    with classifier.requests(PICTURE, per_second=BUSY) as busy:
        wait_pods(classifier, {1: MOST, 2: MOST})
        annotation = "imageclassifier.dev/promote=now"
        classifier.kubectl("annotate", "imageclassifier", classifier.name, annotation)
        classifier.wait_ready(2)
        wait_pods(classifier, {2: MOST})
    print(f"\ncalm: {calm.summary()}; busy: {busy.summary()}")
    assert calm.failures == busy.failures == []


def test_an_autoscaler_that_removes_pods_at_once_removes_none_during_a_canary(create: Create) -> None:
    classifier = create("calm")
    target = {"apiVersion": "imageclassifier.dev/v1alpha1", "kind": "ImageClassifier", "name": "calm"}
    classifier.kubectl.apply(users_autoscaler("of-the-user", target, 1))
    with classifier.requests(PICTURE, per_second=BUSY) as busy:
        wait_pods(classifier, {1: MOST})
        ask_for(classifier, 2)
        wait_half_way(classifier)
        assert pods(classifier) == {1: MOST, 2: MOST}, "a candidate gets traffic with as many pods"
    with classifier.requests(PICTURE, per_second=CALM) as calm:
        # By its limit, because the prober of these tests keeps the pods a little busy all the time.
        one = json.dumps({"spec": {"maxReplicas": 1}})
        classifier.kubectl(
            "patch", "horizontalpodautoscaler", "of-the-user", "--type=merge", f"--patch={one}"
        )
        classifier.wait_for(lambda: wanted(classifier) == 1, "an autoscaler that wants one", SCALING_SECONDS)
        for _ in range(30):
            assert pods(classifier) == {1: MOST, 2: MOST}
            time.sleep(1)
    with classifier.requests(PICTURE, per_second=BUSY) as back:
        ask_for(classifier, 1)
        classifier.wait_for(
            lambda: classifier.status()["traffic"] == [{"version": 1, "percent": 100}],
            "version 1 to have all",
        )
        assert pods(classifier)[1] == MOST, "the version that gets all traffic back has all its pods"
        classifier.wait_ready(1)
    print(f"\nbusy: {busy.summary()}; calm: {calm.summary()}; back: {back.summary()}")
    assert busy.failures == calm.failures == back.failures == []
    with classifier.requests(PICTURE, per_second=CALM):
        wait_pods(classifier, {1: 1})


def test_an_autoscaler_of_the_gateway_is_not_fought_while_the_operator_changes_it(create: Create) -> None:
    classifier = create("gateways")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gateways-gateway"}
    # It adds gateways only: the forwarded port leads to one of them, and ends with it.
    classifier.kubectl.apply(users_autoscaler("of-the-user", target, 2, selectPolicy="Disabled"))

    def gateways() -> int:
        return int(classifier.kubectl.get("deployment", "gateways-gateway")["spec"]["replicas"])

    with classifier.requests(PICTURE, per_second=BUSY) as busy:
        classifier.wait_for(lambda: gateways() == MOST, "gateways for the load", SCALING_SECONDS)
    patch = json.dumps({"spec": {"gateway": {"maxImageBytes": 1_000_000}}})
    classifier.kubectl("patch", "imageclassifier", "gateways", "--type=merge", f"--patch={patch}")
    classifier.kubectl("rollout", "status", "deployment/gateways-gateway", "--timeout=110s")
    for _ in range(20):
        assert gateways() == MOST
        time.sleep(1)
    assert busy.failures == []
