"""The whole operator against a real API server: kopf's watches, the Lease, the queue, in a thread of the
test.

Only the gateways are played: pods of KWOK run no process that could be asked. `PlayedGateways` answers what
a gateway does that reads the routing file as soon as its pod is annotated; tests/contract holds the real one
against the same.
"""

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from free_ports import free_port

from bare_apiserver import ApiError
from crd_objects import CRD_FILE
from imageclassifier_operator import metrics
from imageclassifier_operator.__main__ import run
from imageclassifier_operator.api import names
from imageclassifier_operator.observe.types import (
    AccessReport,
    Counters,
    GatewayReport,
    ShadowReport,
    VerificationProgress,
    VersionReport,
)
from imageclassifier_operator.runtime.leader_election import LeaseLostError, Timing
from imageclassifier_operator.settings import DnsPlace, Settings
from stacks import describe

CLASSIFIERS = "/apis/imageclassifier.dev/v1alpha1/namespaces/{}/imageclassifiers"
PATIENT = Timing(duration_seconds=300, deadline_seconds=200, retry_seconds=2)
"""A busy machine may stop a process for longer than a real leader may be silent."""
END_SECONDS = 120
"""For two cores that several test runs share. It ends in a second, or never."""
PASSED = json.dumps({"schema": 1, "passed": True, "reason": "", "message": "", "cases": []})
REFUSED = json.dumps(
    {"schema": 1, "passed": False, "reason": "AcceptanceFailed", "message": "the salad is no pizza"}
)


class PlayedGateways:
    """Gateways that apply the newest routing file when annotated, and report the counts of the test."""

    def __init__(self, apiserver: Any) -> None:
        self._apiserver = apiserver
        self._files: dict[str, dict[str, Any]] = {}
        self.counters: dict[int, Counters] = {}
        self.shadow: ShadowReport | None = None
        self.progress: VerificationProgress | None = None
        """What the pod of a running verification reports."""
        self.errors: dict[int, str] = {}
        """Version -> why no gateway can use it."""
        self.access = AccessReport()
        """What the gateways report on their API keys and their certificate."""
        self.deaf = False
        """No gateway reads anything new."""
        self.unreachable = False
        """The operator gets no answer from any gateway."""

    async def fetch_progress(self, pod: Mapping[str, Any]) -> VerificationProgress | None:
        return self.progress

    async def fetch_reports(self, pods: Iterable[Mapping[str, Any]]) -> dict[str, GatewayReport]:
        return {
            pod["metadata"]["uid"]: report
            for pod in pods
            if (report := await asyncio.to_thread(self.report, pod)) is not None
        }

    def report(self, pod: Mapping[str, Any]) -> GatewayReport | None:
        """The report of the gateway in this pod."""
        metadata = pod["metadata"]
        if self.unreachable:
            return None
        if not self.deaf:
            name = names.routing_name(metadata["labels"][names.LABEL_INSTANCE])
            path = f"/api/v1/namespaces/{metadata['namespace']}/configmaps/{name}"
            with contextlib.suppress(ApiError):  # without a file, a gateway keeps the last one
                config_map = self._apiserver.request("GET", path)
                self._files[metadata["uid"]] = json.loads(config_map["data"]["routing.json"])
        file = self._files.get(metadata["uid"])
        if file is None:
            return None
        return GatewayReport(
            start_id=metadata["uid"],
            revision=file["revision"],
            versions={
                entry["version"]: VersionReport(
                    ready=entry["version"] not in self.errors,
                    counters=self.counters.get(entry["version"], Counters()),
                    error=self.errors.get(entry["version"]),
                )
                for entry in file["versions"]
            },
            shadow=self.shadow,
            access=self.access,
        )


class RunningOperator:
    """`with RunningOperator(apiserver, gateways):` the operator runs; leaving ends it as SIGTERM does."""

    def __init__(
        self,
        kubeconfig: Any,
        gateways: PlayedGateways,
        name: str = "operator-0",
        resync_seconds: float = 300,
        timing: Timing = PATIENT,
        namespace: str = "default",
        gateway_image: str = "gateway:test",
        max_gateway_updates: int = 5,
        dns: tuple[DnsPlace, ...] = (),
    ) -> None:
        """`namespace` is where it keeps its Lease; it watches all of them."""
        self._kubeconfig, self._gateways, self._timing = kubeconfig, gateways, timing
        self.settings = Settings(
            gateway_image=gateway_image,
            max_gateway_updates=max_gateway_updates,
            serving_image="tensorflow/serving:test",
            watch_namespace=None,
            pod_name=name,
            pod_namespace=namespace,
            probe_port=free_port(),
            metrics_port=free_port(),
            resync_seconds=resync_seconds,
            dns=dns,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.lost: BaseException | None = None

    def __enter__(self) -> "RunningOperator":
        os.environ["KUBECONFIG"] = str(self._kubeconfig)
        self._thread.start()
        return self

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def thread(self) -> threading.Thread:
        return self._thread

    def freeze_until(self, wake: threading.Event) -> None:
        """Block the operator's event loop, as a node without free CPU does."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(wake.wait)

    def stop(self) -> None:
        """End it as SIGTERM does."""
        self.__exit__()

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            stacks = "" if self._loop is None else describe(self._loop)
            raise AssertionError(f"The operator did not end in {END_SECONDS} s.\n{stacks}")

    def _run(self) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await run(self.settings, self._stop, self._gateways, self._timing)

        try:
            asyncio.run(main())
        except* LeaseLostError as lost:
            self.lost = lost


class Bench:
    """One namespace with a running operator, and helpers for the tests there."""

    def __init__(self, apiserver: Any, namespace: str, gateways: PlayedGateways) -> None:
        self.apiserver, self.namespace, self.gateways = apiserver, namespace, gateways

    def create(self, version: int = 1, **spec: Any) -> None:
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": "pizza"},
            "spec": {
                "model": {"version": version, "source": {"image": {"reference": "pizza-model:{version}"}}},
                **spec,
            },
        }
        self.apiserver.request("POST", CLASSIFIERS.format(self.namespace), body)

    def patch(self, body: dict[str, Any]) -> None:
        path = f"{CLASSIFIERS.format(self.namespace)}/pizza"
        self.apiserver.request("PATCH", path, body, content_type="application/merge-patch+json")

    def bump(self, version: int) -> None:
        self.patch({"spec": {"model": {"version": version}}})

    def get(self, path: str) -> Any:
        return self.apiserver.request("GET", path.format(self.namespace))

    def classifier(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"{CLASSIFIERS}/pizza")
        return found

    def status(self) -> dict[str, Any]:
        return self.classifier().get("status") or {}

    def condition(self, kind: str) -> dict[str, Any]:
        return next((c for c in self.status().get("conditions", ()) if c["type"] == kind), {})

    def routing(self) -> dict[str, Any]:
        config_map = self.get("/api/v1/namespaces/{}/configmaps/pizza-routing")
        routing: dict[str, Any] = json.loads(config_map["data"]["routing.json"])
        return routing

    def deployments(self) -> dict[str, dict[str, Any]]:
        return {
            d["metadata"]["name"]: d for d in self.get("/apis/apps/v1/namespaces/{}/deployments")["items"]
        }

    def pods(self, component: str) -> list[dict[str, Any]]:
        selector = f"labelSelector=app.kubernetes.io/component={component}"
        pods: list[dict[str, Any]] = self.get(f"/api/v1/namespaces/{{}}/pods?{selector}")["items"]
        return pods

    def wait(self, condition: Any, what: str) -> None:
        try:
            self.apiserver.wait_for(condition, what, timeout_seconds=180)
        except TimeoutError:
            raise TimeoutError(f"waited for {what}; status: {json.dumps(self.status(), indent=1)}") from None

    def verify(self, version: int, message: str = PASSED, exit_code: int | None = None) -> None:
        """End the verification of a version with this result; by default, its exit code follows from it."""
        if exit_code is None:
            exit_code = 0 if json.loads(message)["passed"] else 1

        def running() -> list[dict[str, Any]]:
            return [
                pod
                for pod in self.pods("verify")
                if pod["metadata"]["labels"][names.LABEL_MODEL_VERSION] == str(version)
                and pod["status"].get("phase") == "Running"
            ]

        self.wait(running, f"the verification of version {version}")
        annotations = {
            "kwok.imageclassifier.dev/exit-code": str(exit_code),
            "kwok.imageclassifier.dev/termination-message": message,
        }
        for pod in running():
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
            self.apiserver.request(
                "PATCH", path, {"metadata": {"annotations": annotations}}, "application/merge-patch+json"
            )

    def wait_ready(self, version: int) -> None:
        self.wait(
            lambda: (
                self.condition("Ready").get("status") == "True"
                and self.status().get("servingVersion") == version
            ),
            f"version {version} to be ready",
        )

    def wait_phase(self, phase: str) -> None:
        self.wait(lambda: self.status().get("phase") == phase, f"phase {phase}")

    def wait_reconciled(self, times: int = 1) -> None:
        """Wait until the operator has completed this many more reconciliations."""
        goal = _completed_reconciliations() + times
        self.wait(lambda: _completed_reconciliations() >= goal, f"{times} reconciliations")

    def wake_operator(self, note: str) -> None:
        """Change what no child depends on, and wait for the reconciliation."""
        before = _completed_reconciliations()
        self.patch({"metadata": {"annotations": {"note": note}}})
        self.wait(lambda: _completed_reconciliations() > before, "the operator to look")

    def changes(self, path: str, name: str, since: str) -> list[dict[str, Any]]:
        """Every state that an object of the list `path` has had since this resourceVersion, in order."""
        path = path.format(self.namespace)
        newest = self.get(f"{path}/{name}")["metadata"]["resourceVersion"]
        seconds = 1
        while True:  # the API server needs time to send the events, and ends the watch after `seconds`
            query = f"watch=true&resourceVersion={since}&timeoutSeconds={seconds}"
            lines = self.apiserver.kubectl("get", "--raw", f"{path}?{query}").splitlines()
            found = [event["object"] for event in map(json.loads, lines)]
            states = [each for each in found if each["metadata"].get("name") == name]
            if any(each["metadata"]["resourceVersion"] == newest for each in states) or newest == since:
                return states
            assert seconds < END_SECONDS, f"the watch of {path} has not come to resourceVersion {newest}"
            seconds *= 2


def _completed_reconciliations() -> float:
    return metrics.REGISTRY.get_sample_value("imageclassifier_reconciles_total", {"result": "ok"}) or 0.0


def writes_of_operator(bench: Bench, mark: int) -> list[Any]:
    """The operator's writes in the namespace since a mark in the audit log."""
    return [
        event
        for event in bench.apiserver.audit_events(since=mark)
        if event.is_write
        and bench.namespace == event.namespace
        and event.field_manager.startswith("imageclassifier-operator")
    ]


def install_crd(apiserver: Any, crd: Path = CRD_FILE) -> None:
    # Tests of the installation on the same API server own the CRD as plain `kubectl apply` or as Helm.
    apiserver.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(crd))
    apiserver.wait_until_established("imageclassifiers.imageclassifier.dev")
