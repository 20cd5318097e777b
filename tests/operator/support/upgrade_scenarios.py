"""ImageClassifiers in the spelling of commit 48c8c3e, and how its operator gets each into its phase."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.observe.types import Counters, ShadowReport
from operator_process import REFUSED, Bench

Spec = dict[str, Any]

STALLED = "stalled.invalid/pizza-model:{version}"
"""Its pods stay Pending."""
LONG = 3600
FAILING, DISAGREEING, SHIFTING, SHADOWING, SETTLING = 3, 4, 5, 6, 7
"""All played gateways report the same counts, so each version that is compared has a number of its own."""


@dataclass(frozen=True)
class Scenario:
    """One ImageClassifier: its manifest, how it gets into its phase, and what that is."""

    spec: Spec
    prepare: Callable[[Bench], None]
    phase: str
    serving: int | None = 1
    failed: tuple[int, ...] = ()
    is_stored: bool = True
    """Whether a version serves. Without one, a rollout starts again after a restart of the operator."""


def smallest(**rollout: Any) -> Spec:
    return {
        "model": {"version": 1, "image": "pizza-model:{version}"},
        "gateway": {"replicas": 1, "timeoutSeconds": 1},
        "rollout": rollout,
    }


FIRST_STALLED: Spec = {**smallest(), "model": {"version": 1, "image": STALLED}}
DESCRIBED: Spec = {
    "model": {
        "name": "pizza",
        "version": 1,
        "persistentVolumeClaim": {"claimName": "models", "path": "team/pizza"},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "threshold": 0.35,
    "classes": [{"name": "not_pizza"}, {"name": "pizza", "message": "It's a pizza!"}],
    "input": {"height": 224, "width": 224, "dtype": "float32", "scale": 0.0078, "offset": -1},
    "output": {"activation": "sigmoid"},
    "serving": {
        "image": "tensorflow/serving:2.19.0",
        "resources": {"limits": {"memory": "3Gi", "cpu": "2"}},
        "batching": {},
        "nodeSelector": {"kubernetes.io/hostname": "fake-0"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
    "gateway": {"replicas": 2, "timeoutSeconds": 20},
    "replicas": 2,
}
STEPS = [{"percent": 20, "durationSeconds": LONG}]
SHADOW = {"percent": 50, "minAgreement": 0.9, "minCompared": 20}


def only_create(bench: Bench) -> None:
    """Nothing follows."""


def serve_first(bench: Bench) -> None:
    bench.verify(1)
    bench.wait_ready(1)


def serve_from_volume(bench: Bench) -> None:
    size: Spec = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    claimed = {"namespace": bench.namespace, "name": "models"}
    volume = {"capacity": {"storage": "1Gi"}, "hostPath": {"path": "/models"}, "claimRef": claimed}
    claim = {"volumeName": bench.namespace, "resources": {"requests": {"storage": "1Gi"}}}
    body = {"metadata": {"name": bench.namespace}, "spec": {**size, **volume}}
    bench.apiserver.request("POST", "/api/v1/persistentvolumes", body)
    path = f"/api/v1/namespaces/{bench.namespace}/persistentvolumeclaims"
    bench.apiserver.request("POST", path, {"metadata": {"name": "models"}, "spec": {**size, **claim}})
    serve_first(bench)


def refuse_first(bench: Bench) -> None:
    bench.verify(1, REFUSED)


def roll_out(version: int) -> Callable[[Bench], None]:
    def prepare(bench: Bench) -> None:
        serve_first(bench)
        bench.bump(version)
        bench.verify(version)

    return prepare


def start_second(bench: Bench) -> None:
    serve_first(bench)
    bench.bump(2)


def stall_second(bench: Bench) -> None:
    serve_first(bench)
    bench.patch({"spec": {"model": {"version": 2, "image": STALLED}}})
    bench.wait(lambda: len(bench.pods("serving")) == 2, "the pod of version 2")


def refuse_second(bench: Bench) -> None:
    serve_first(bench)
    bench.bump(2)
    bench.verify(2, REFUSED)


def fail_requests(bench: Bench) -> None:
    roll_out(FAILING)(bench)
    bench.wait_phase("Shift")
    bench.gateways.counters[FAILING] = Counters(100, 100, {"+Inf": 100})


def disagree(bench: Bench) -> None:
    roll_out(DISAGREEING)(bench)
    bench.wait_phase("Shift")
    bench.gateways.shadow = ShadowReport(DISAGREEING, 20, 2, confusion=(("pizza", "salad", 18),))


def retire_first(bench: Bench) -> None:
    """Version 1 stays in Retire until the gateways read the new routing. This stops the reading of all."""
    roll_out(2)(bench)
    bench.wait_phase("Settle")
    bench.gateways.deaf = True


LAST = "retiring"
"""It stops the gateways of all."""

SCENARIOS: Mapping[str, Scenario] = {
    "stable": Scenario(smallest(), serve_first, "Stable"),
    "described": Scenario(DESCRIBED, serve_from_volume, "Stable"),
    "first loading": Scenario(FIRST_STALLED, only_create, "Load", None, is_stored=False),
    "first verifying": Scenario(smallest(), only_create, "Verify", None, is_stored=False),
    "first refused": Scenario(smallest(), refuse_first, "Pending", None, (1,)),
    "loading": Scenario(smallest(), stall_second, "Load"),
    "verifying": Scenario(smallest(), start_second, "Verify"),
    "paused": Scenario(smallest(pause=True), roll_out(2), "Verify"),
    "shifting": Scenario(smallest(steps=STEPS, limits={"errorRate": 0.2}), roll_out(SHIFTING), "Shift"),
    "shadowing": Scenario(smallest(shadow=SHADOW), roll_out(SHADOWING), "Shift"),
    "settling": Scenario(smallest(keepPreviousSeconds=LONG), roll_out(SETTLING), "Settle", SETTLING),
    "refused": Scenario(smallest(), refuse_second, "Stable", failed=(2,)),
    "rolled back": Scenario(smallest(steps=STEPS), fail_requests, "Stable", failed=(FAILING,)),
    "disagreed": Scenario(smallest(shadow=SHADOW), disagree, "Stable", failed=(DISAGREEING,)),
    LAST: Scenario(smallest(keepPreviousSeconds=2), retire_first, "Retire", 2),
}


def in_new_spelling(spec: Spec) -> Spec:
    """The same manifest with the present names of all fields, by the table in the changelog."""
    spec = copy.deepcopy(spec)
    model, rollout = spec["model"], spec.get("rollout", {})
    if "image" in model:
        model["source"] = {"image": {"reference": model.pop("image")}}
    if "persistentVolumeClaim" in model:
        model["source"] = {"persistentVolumeClaim": model.pop("persistentVolumeClaim")}
        spec["serving"]["imagePullSecrets"] = model.pop("imagePullSecrets")
    if "threshold" in spec:
        spec["output"]["threshold"] = f"{100 * spec.pop('threshold'):g}%"
    if "input" in spec:
        scale, offset = spec["input"].pop("scale"), spec["input"].pop("offset")
        spec["input"]["rescaling"] = {"scale": str(scale), "offset": offset}
    moved = ("nodeSelector", "tolerations", "affinity", "priorityClassName")
    serving = spec.get("serving", {})
    if found := {name: serving.pop(name) for name in moved if name in serving}:
        serving["template"] = {"spec": found}
    if "pause" in rollout:
        rollout["paused"] = rollout.pop("pause")
    if "limits" in rollout:
        rollout["limits"] = {"errorRateIncrease": f"{100 * rollout['limits']['errorRate']:g}%"}
    if "shadow" in rollout:
        agreement = rollout["shadow"].pop("minAgreement")
        rollout["shadow"]["minAgreementRate"] = f"{100 * agreement:g}%"
    return spec
