"""Files that a copy does not find are searched by the next pods, on a real API server."""

from typing import Any

import pytest

from operator_process import Bench

pytestmark = pytest.mark.apiserver

STALLED = {"version": 1, "source": {"image": {"reference": "stalled.invalid/flowers:{version}"}}}
"""The fake nodes leave the pods of this image as they are."""


def crash(bench: Bench, container: str, code: int, log: str) -> None:
    """Let this init container end in each pod of a model server that has it."""

    def pods() -> list[dict[str, Any]]:
        return [
            pod
            for pod in bench.pods("serving")
            if container in {each["name"] for each in pod["spec"]["initContainers"]}
        ]

    bench.wait(pods, f"a pod with the init container {container}")
    status = {
        "name": container,
        "image": "image",
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": code, "reason": "Error", "message": log}},
    }
    for pod in pods():
        path = f"/api/v1/namespaces/{bench.namespace}/pods/{pod['metadata']['name']}/status"
        patch = {"status": {"initContainerStatuses": [status]}}
        bench.apiserver.request("PATCH", path, patch, "application/merge-patch+json")


def test_the_message_of_the_search_takes_the_place_of_the_failed_copy(bench: Bench) -> None:
    bench.create(1, model=STALLED)
    crash(bench, "model-files", 1, "cp: cannot stat '/models/pizza/1': No such file or directory")
    crash(bench, "model-search", 3, "models/pizza/1 is empty. Fill it.")
    bench.wait(lambda: "Fill it" in bench.condition("Ready").get("message", ""), "the message of the search")
    assert bench.condition("Ready")["reason"] == "ModelNotFound"
    assert "image stalled.invalid/flowers:1: models/pizza/1 is empty." in bench.condition("Ready")["message"]
    init = bench.deployments()["pizza-serving-v1"]["spec"]["template"]["spec"]["initContainers"]
    assert [each["image"] for each in init] == [
        "stalled.invalid/flowers:1", "gateway:test", "stalled.invalid/flowers:1",
    ]  # fmt: skip
