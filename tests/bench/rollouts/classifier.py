"""One ImageClassifier on the cluster: changes it as users do, and records each change of its status."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from api import GROUP, Api, Json

from laptop.cluster_state import LAPTOP
from laptop.kubernetes_programs import kubectl_program

NAMESPACE = "rollouts-bench"
LOOK_SECONDS = 0.2
#: Several classifiers with two gateways and two model servers of two versions have to fit on a laptop's node.
_SMALL = {"requests": {"cpu": "20m", "memory": "64Mi"}}
_GATEWAY = {**_SMALL, "limits": {"cpu": "1", "memory": "512Mi"}}
#: Most pictures' models are small, and what the crashing one asks for has to be too much.
_SERVING = {**_SMALL, "limits": {"memory": "1Gi"}}


@dataclass(frozen=True)
class Look:
    """The status at a moment, in seconds since the epoch."""

    at: float
    phase: str
    serving: int | None
    candidate_percent: int
    compared: int
    conditions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Condition -> (status, reason), of those that speak of the newest spec."""
    failed: tuple[tuple[int, str], ...] = ()
    """(version, reason), the newest last."""


class Classifier:
    """An ImageClassifier with two model servers, two gateways, and a node port for requests."""

    def __init__(self, api: Api, name: str, model: str) -> None:
        self._api, self.name, self._model = api, name, model
        self._path = f"{GROUP}/namespaces/{NAMESPACE}/imageclassifiers/{name}"

    def create(self, version: int, rollout: Json) -> None:
        spec = {
            "model": {
                "name": self._model,
                "version": version,
                "source": {"image": {"reference": f"{self._model}:{{version}}"}},
            },
            "replicas": 2,
            "serving": {"resources": _SERVING},
            "gateway": {"replicas": 2, "resources": _GATEWAY, "service": {"type": "NodePort"}},
            "rollout": rollout,
        }
        body = {
            "apiVersion": "imageclassifier.dev/v1alpha1",
            "kind": "ImageClassifier",
            "metadata": {"name": self.name},
            "spec": spec,
        }
        self._api.create(self._path.rpartition("/")[0], body)

    def change(self, version: int, rollout: Json) -> None:
        """Set the version and the rollout rules of the spec."""
        change = [
            {"op": "replace", "path": "/spec/model/version", "value": version},
            {"op": "replace", "path": "/spec/rollout", "value": rollout},
        ]
        self._api.patch(self._path, change, "application/json-patch+json")

    def kubectl_patch(self, spec: Json) -> None:
        """Change the spec with `kubectl patch`, as a user does."""
        command: list[str] = [
            *(str(kubectl_program()), f"--context={LAPTOP.context}", f"--namespace={NAMESPACE}"),
            *("patch", "imageclassifier", self.name, "--type=merge", f"--patch={json.dumps({'spec': spec})}"),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def delete(self) -> None:
        self._api.delete(self._path)

    def look(self) -> Look:
        body = self._api.get(self._path)
        status = body.get("status", {})
        return Look(
            at=time.time(),
            phase=status.get("phase", ""),
            serving=status.get("servingVersion"),
            candidate_percent=status.get("candidatePercent", 0),
            compared=status.get("shadow", {}).get("compared", 0),
            conditions={
                condition["type"]: (condition["status"], condition["reason"])
                for condition in status.get("conditions", [])
                if condition["observedGeneration"] == body["metadata"]["generation"]
            },
            failed=tuple((each["version"], each["reason"]) for each in status.get("failedVersions", [])),
        )

    def watch_until(self, is_over: Callable[[Look], bool], timeout_seconds: float = 300) -> list[Look]:
        """Read the status until `is_over`. Returns each status that changed, and the last one."""
        looks = [self.look()]
        until = looks[0].at + timeout_seconds
        while not is_over(looks[-1]):
            if looks[-1].at > until:
                raise TimeoutError(f"{self.name}: not over within {timeout_seconds:.0f} s: {looks[-1]}")
            time.sleep(LOOK_SECONDS)
            looks.append(self.look())
        return looks

    def port(self) -> int:
        """The node port of the gateways' Service."""
        service = self._api.get(f"/api/v1/namespaces/{NAMESPACE}/services/{self.name}-gateway")
        port: int = service["spec"]["ports"][0]["nodePort"]
        return port

    def gateway_pods(self) -> list[str]:
        labels = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=gateway"
        pods = self._api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={labels}")["items"]
        return [pod["metadata"]["name"] for pod in pods]

    def rollout_report(self, pod: str) -> Json:
        return self._api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9697/proxy/rollout")

    def model_errors(self) -> Counter[int]:
        """The failed requests of each version since the gateways started."""
        errors: Counter[int] = Counter()
        for pod in self.gateway_pods():
            text = self._api.get_text(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9697/proxy/metrics")
            found = re.findall(
                r'^imageclassifier_gateway_model_errors_total\{version="(\d+)"\} (\S+)', text, re.M
            )
            for version, count in found:
                errors[int(version)] += int(float(count))
        return errors

    @contextmanager
    def routing_writes(self) -> Iterator[dict[int, float]]:
        """The time of each write of the routing file, by revision, in seconds since the epoch.

        It is the time at which the watch reports the write, milliseconds after the operator's own response.
        """
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps?fieldSelector=metadata.name={self.name}-routing"
        written: dict[int, float] = {}

        def follow() -> None:
            for event in self._api.watch(f"{path}&watch=true"):
                text = event["object"].get("data", {}).get("routing.json")
                if text:
                    written.setdefault(json.loads(text)["revision"], time.time())

        threading.Thread(target=follow, daemon=True).start()
        yield written

    def wait_until_all_serve(self, version: int, timeout_seconds: float = 60) -> tuple[float, int]:
        """Wait until every gateway reports on its internal port that this version serves.

        Returns the time of the last report in seconds since the epoch, and the revision of its routing file.
        """
        until = time.time() + timeout_seconds

        def wait(pod: str) -> tuple[float, int]:
            while (said := self.rollout_report(pod))["serving"] != version:
                if time.time() > until:
                    raise TimeoutError(f"{pod} has not changed its routing within {timeout_seconds:.0f} s.")
                time.sleep(0.02)
            return time.time(), said["revision"]

        pods = self.gateway_pods()
        with ThreadPoolExecutor(len(pods)) as pool:
            return max(pool.map(wait, pods))


@contextmanager
def namespace(api: Api) -> Iterator[None]:
    """A new namespace, which is deleted afterwards."""
    path = f"/api/v1/namespaces/{NAMESPACE}"
    _remove_namespace(api, path)
    api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    try:
        yield
    finally:
        api.delete(path)


def _remove_namespace(api: Api, path: str) -> None:
    api.delete(path)
    while api.find(path) is not None:
        time.sleep(0.5)


def node_address(api: Api) -> str:
    """An address of the node at which this machine reaches node ports."""
    addresses = api.get("/api/v1/nodes")["items"][0]["status"]["addresses"]
    found: str = next(each["address"] for each in addresses if each["type"] == "InternalIP")
    return found
