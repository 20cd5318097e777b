"""The status during an ordinary first rollout names no failure, although pods are not ready at once."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from imageclassifier_operator import api, render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import WATCHED
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.observe.types import GatewayReport
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.reconcile.snapshot import Snapshotter
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key
from imageclassifier_operator.status.conditions import conditions

BODY: dict[str, Any] = {
    "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 1},
    "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
}
IC = api.parse(BODY)
INSTALLATION = render.Installation("gateway", "default")
GATEWAY = render.gateway_deployment(IC, INSTALLATION, 2)
LOADING = State(phase=Phase.LOAD, candidate=IC.candidate("tf"), attempt="a")
SERVING = State(revision=1, phase=Phase.STABLE, serving=IC.candidate("tf"))
NO_FILE = GatewayReport("s", 0, routing_error="There is no routing file")


class GatewaysWithoutFile:
    """Gateways that have not read the routing file yet."""

    async def fetch_reports(self, pods: Iterable[Mapping[str, Any]]) -> dict[str, GatewayReport]:
        return {pod["metadata"]["uid"]: NO_FILE for pod in pods}


def pod(name: str, component: str, *, container: dict[str, Any] | None = None) -> dict[str, Any]:
    labels = {names.LABEL_COMPONENT: component}
    if component == "serving":
        labels[names.LABEL_MODEL_VERSION] = "1"
    statuses = [] if container is None else [{"name": component, "image": "i", **container}]
    return {
        "metadata": {"name": name, "namespace": "food", "uid": name, "labels": labels},
        "spec": {},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }


UNREADY = {"started": True, "ready": False, "state": {"running": {}}}
WARNING = {
    "reason": "FailedMount",
    "message": 'MountVolume.SetUp failed for volume "plan": failed to sync configmap cache: timed out',
    "involvedObject": {"kind": "Pod", "name": "gateway", "namespace": "food"},
}


class Operator:
    """What its snapshots and conditions say, one second after another."""

    def __init__(self) -> None:
        self.memory = Memory("u")
        cache = Cache({kind.plural: {} for kind in WATCHED})
        self.snapshotter = Snapshotter(cache, GatewaysWithoutFile(), lambda: 0.0)

    def reasons(self, now: float, state: State, *pods: Any, warnings: tuple[Any, ...] = ()) -> dict[str, str]:
        deployment = render.serving_children(IC, IC.candidate("tf"), 1)[0]
        objects = Objects([deployment], list(pods), list(warnings))
        key = Key("food", "pizza")
        request = ValidRequest(key, BODY, objects, self.memory, now, None, IC, GATEWAY, INSTALLATION)
        goal = goal_of(IC, "tf", state)
        snapshot = asyncio.run(self.snapshotter.take(request, goal, state))
        return {each.type: each.reason.value for each in conditions(goal, state, snapshot)}


def test_gateways_that_have_not_read_their_first_routing_file_yet_are_starting() -> None:
    operator, gateway = Operator(), pod("gateway", "gateway", container=UNREADY)
    server = pod("server", "serving")
    server["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    for second in range(60):  # they wait for the first version without a time limit
        assert "NotAnswering" not in operator.reasons(second, LOADING, gateway, server).values()
    for second in range(60, 70):
        assert operator.reasons(second, SERVING, gateway, server)["Available"] == "GatewayStarting"
    assert operator.reasons(70, SERVING, gateway, server)["Available"] == "NotAnswering"


def test_a_config_map_that_the_kubelet_does_not_have_yet_is_not_a_volume_failure() -> None:
    operator, gateway = Operator(), pod("gateway", "gateway")
    for second in range(15):
        found = operator.reasons(second, LOADING, gateway, warnings=(WARNING,))
        assert found["GatewayReady"] == "NoVersionServes"
    assert operator.reasons(15, LOADING, gateway, warnings=(WARNING,))["GatewayReady"] == "VolumeFailed"
