"""Everything that can keep a version from coming up: the status says which pod, what is wrong and what to do,
and is well again when that was done.

All ImageClassifiers are made at once and fail side by side, each in one way; then all are mended at once.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from cluster_testbed import Classifier, Kubectl, Wait, ensure_tiny_models, plain_picture, tiny_classifier

pytestmark = pytest.mark.cluster

MODEL = "failures"
GOOD, CORRUPT, WRONG_SIGNATURE, ABSENT, ALSO_GOOD = 1, 2, 3, 4, 5
VARIANTS = {GOOD: "good", CORRUPT: "corrupt", WRONG_SIGNATURE: "wrong-signature", ALSO_GOOD: "good"}
ROOMY = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}
TINY = {"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}


def of(version: int) -> dict[str, Any]:
    return {"name": MODEL, "version": version, "source": {"image": {"reference": f"{MODEL}:{{version}}"}}}


@dataclass(frozen=True)
class Failure:
    """A spec that fails, and what Ready then says; `says` is a pattern for the whole message.

    It is mended by `mending`, a merge patch of the spec, or by deleting `obstacle`, which was there before.
    """

    reason: str
    says: str
    model: dict[str, Any] = field(default_factory=lambda: of(GOOD))
    spec: dict[str, Any] = field(default_factory=dict)
    mending: dict[str, Any] | None = None
    obstacle: dict[str, Any] | None = None


POD = r"{name}-serving-v\d-\w+-\w+"
FAILURES = {
    "unpulled": Failure(
        "ImagePullFailed",
        rf"Container model-files of pod {POD} cannot pull image no-such-image:1.*\. Check that the "
        r"nodes can reach its registry and that the image was pushed or loaded, or change "
        r"spec\.model\.source\.image\.reference or spec\.model\.source\.image\.pullSecrets\.",
        model={"name": MODEL, "version": GOOD, "source": {"image": {"reference": "no-such-image:1"}}},
        mending={"model": {"source": {"image": {"reference": f"{MODEL}:{{version}}"}}}},
    ),
    "unscheduled": Failure(
        "Unschedulable",
        rf"Pod {POD} cannot be scheduled: 0/\d+ nodes are available: .*affinity/selector\. Free or add "
        r"nodes, or change the resources, or nodeSelector, tolerations or affinity in "
        r"spec\.serving\.template\.spec\.",
        spec={"serving": {"resources": ROOMY, "template": {"spec": {"nodeSelector": {"disk": "of-gold"}}}}},
        mending={"serving": {"template": None}},
    ),
    "without-volume": Failure(
        "VolumeFailed",
        rf'Pod {POD} waits for its volume: .*persistentvolumeclaim "nobodys" not found\. .*',
        model={"version": GOOD, "source": {"persistentVolumeClaim": {"claimName": "nobodys"}}},
        mending={
            "model": {**of(GOOD), "source": {**of(GOOD)["source"], "persistentVolumeClaim": None}},
        },
    ),
    "starved": Failure(
        "OutOfMemory",
        rf"Container model-server of pod {POD} ran out of memory\. Raise "
        r"spec.serving.resources.limits.memory\.",
        spec={"serving": {"resources": TINY}},
        mending={"serving": {"resources": ROOMY}},
    ),
    "corrupt": Failure(
        "ModelLoadFailed",
        rf"Container model-server of pod {POD}: TensorFlow Serving cannot load the model: \S+: "
        r".*saved_model.pb.*\. Export the model again under a new version number\.",
        model=of(CORRUPT),
        mending={"model": {"version": ALSO_GOOD}},
    ),
    "absent": Failure(
        "ModelNotFound",
        rf"Container model-search of pod {POD}: image {MODEL}:{GOOD}: models/{MODEL} has no version "
        rf"{ABSENT}, only the version {GOOD}\. Set spec\.model\.version to one that exists, or put the "
        rf"SavedModel into models/{MODEL}/{ABSENT}\.",
        model={"name": MODEL, "version": ABSENT, "source": {"image": {"reference": f"{MODEL}:{GOOD}"}}},
        mending={"model": {"version": GOOD}},
    ),
    "unusual": Failure(
        "ContractInvalid",
        rf"Version {WRONG_SIGNATURE} failed: .*signature.*\. To retry, change .*",
        model=of(WRONG_SIGNATURE),
        mending={"model": {"version": ALSO_GOOD}},
    ),
    "unadmitted": Failure(
        "AdmissionRefused",
        r"Deployment {name}-serving-v1 cannot create its pods: no PriorityClass with name nobodys was "
        r"found\. .*",
        spec={"serving": {"resources": ROOMY, "template": {"spec": {"priorityClassName": "nobodys"}}}},
        mending={"serving": {"template": None}},
    ),
    "beyond-quota": Failure(
        "QuotaExceeded",
        r"Deployment {name}-serving-v1 cannot create its pods: exceeded quota: too-small.*\. Raise the "
        r"quota, or lower spec\.serving\.resources\.requests\.cpu\. A rollout needs room for the pods "
        r"of two versions\.",
        obstacle={
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "too-small"},
            "spec": {"hard": {"requests.cpu": "1m"}},
        },
    ),
    "preceded": Failure(
        "Conflict",
        r"Service preceded-gateway already exists and has no owner\. Delete or rename it, or give the "
        r"ImageClassifier another name\.",
        obstacle={
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "preceded-gateway"},
            "spec": {"selector": {"of": "somebody-else"}, "ports": [{"port": 80}]},
        },
    ),
}
every_failure = pytest.mark.parametrize("name", FAILURES)


@pytest.fixture(scope="module")
def tiny_models(installed: object) -> None:
    ensure_tiny_models({f"{MODEL}:{version}": variant for version, variant in VARIANTS.items()})


@pytest.fixture(scope="module")
def broken(
    tiny_models: None, module_kubectl: Kubectl, cluster_kubectl: Kubectl, wait_for: Wait
) -> Iterator[dict[str, Classifier]]:
    """All of them, by name, and `serving`, which is well. A quota is for a namespace, so that has its own."""
    quota = module_kubectl.within(f"{module_kubectl.namespace}-quota")
    cluster_kubectl("create", "namespace", str(quota.namespace))
    where = dict.fromkeys([*FAILURES, "serving"], module_kubectl) | {"beyond-quota": quota}
    for name, failure in FAILURES.items():
        if failure.obstacle:
            where[name].apply(failure.obstacle)
    for name, failure in FAILURES.items():
        where[name].apply(tiny_classifier(name, failure.model, **failure.spec))
    module_kubectl.apply(tiny_classifier("serving", of(GOOD)))
    yield {name: Classifier(kubectl, wait_for, name) for name, kubectl in where.items()}
    cluster_kubectl("delete", "namespace", str(quota.namespace), "--wait=false")


@pytest.fixture(scope="module")
def mended(broken: dict[str, Classifier]) -> dict[str, Classifier]:
    for name, failure in FAILURES.items():
        kubectl = broken[name].kubectl
        if failure.obstacle:
            kubectl("delete", failure.obstacle["kind"], failure.obstacle["metadata"]["name"])
        else:
            change(broken[name], {"spec": failure.mending})
    return broken


def change(classifier: Classifier, patch: dict[str, Any]) -> None:
    classifier.kubectl(
        "patch", "imageclassifier", classifier.name, "--type=merge", f"--patch={json.dumps(patch)}"
    )


@contextmanager
def no_request_fails(classifier: Classifier) -> Iterator[None]:
    with classifier.requests(plain_picture(215)) as tally:
        yield
    assert tally.failures == []


@every_failure
def test_ready_reports_what_is_wrong_and_what_to_do(broken: dict[str, Classifier], name: str) -> None:
    failure, classifier = FAILURES[name], broken[name]
    classifier.wait_reason("Ready", failure.reason)

    def says_it() -> bool:  # the message may still change: the quota is observed a moment later
        said = classifier.wait_reason("Ready", failure.reason)
        assert re.fullmatch(failure.says.replace("{name}", name), said), said
        return True

    classifier.wait_for(says_it, f"{name}: the whole sentence", 60)
    assert classifier.condition("Available")["status"] == "False"
    row = classifier.kubectl("get", "imageclassifier", name, "--no-headers")
    assert failure.reason in row.split()


def test_the_previous_version_keeps_serving_when_a_new_one_fails(broken: dict[str, Classifier]) -> None:
    serving = broken["serving"]
    serving.wait_ready(GOOD)
    with no_request_fails(serving):
        change(serving, {"spec": {"model": {"version": CORRUPT}}})
        said = serving.wait_reason("Ready", "ModelLoadFailed")
        assert re.match(
            rf"Version {CORRUPT} failed: Container model-server of pod serving-serving-v{CORRUPT}-", said
        ), said
        serving.wait_for(lambda: serving.condition("Available")["status"] == "True", "a version to answer")
        assert serving.status()["servingVersion"] == GOOD
        change(serving, {"spec": {"model": {"version": ALSO_GOOD}}})
        serving.wait_ready(ALSO_GOOD)


@every_failure
def test_it_is_ready_after_the_cause_is_fixed(mended: dict[str, Classifier], name: str) -> None:
    mended[name].wait_reason("Ready", "Ready")
