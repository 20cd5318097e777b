"""Writing children: a refusal is reported with what to do, a transient error is retried, an opened child is
closed."""

import asyncio
import copy
from typing import Any

import pytest

from imageclassifier_operator import api, render
from imageclassifier_operator.api.kinds import FIELD_MANAGER, SERVICES, WATCHED, Kind
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.reconcile.children import Children
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key

KEY = Key("food", "pizza")
BODY: dict[str, Any] = {
    "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 1},
    "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "pizza-serving-v1", "namespace": "food"},
}


class Refusing:
    """An API server that answers every write with an error."""

    def __init__(self, status: int, message: str) -> None:
        self._error = ApiError(status, "", message)

    async def create(self, *_: Any) -> None:
        raise self._error


def written(status: int, message: str) -> Problem | None:
    cache = Cache({kind.plural: {} for kind in WATCHED})
    children = Children(cache, Refusing(status, message))  # type: ignore[arg-type]
    return asyncio.run(children.ensure(valid_request(), DEPLOYMENT))


@pytest.mark.parametrize(
    ("status", "message", "reason", "what_to_do"),
    [
        (422, "spec.replicas: Invalid value", Reason.API_REFUSED, "Correct the field in the spec"),
        (
            403,
            'admission webhook "policy" denied the request',
            Reason.API_REFUSED,
            "ask the owner of the policy",
        ),
        (403, "exceeded quota: small", Reason.QUOTA_EXCEEDED, "Raise the quota"),
        (
            500,
            "failed to create typed patch object (food/pizza-serving-v1; apps/v1, Kind=Deployment): "
            ".spec.template.spec.affinity.nodeAfinity: field not declared in schema",
            Reason.API_REFUSED,
            "nodeAfinity: field not declared in schema. Correct the field in the spec",
        ),
    ],
)
def test_a_refusal_of_the_api_server_is_reported_with_what_to_do(
    status: int, message: str, reason: Reason, what_to_do: str
) -> None:
    problem = written(status, message)
    assert problem is not None
    assert problem.reason is reason
    assert problem.message.startswith("The API server refuses Deployment pizza-serving-v1: ")
    assert what_to_do in problem.message


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "etcdserver: request timed out"),
        (503, "busy"),
        (
            403,
            'unable to create new content in namespace "food" because it is being terminated',
        ),
    ],
)
def test_a_transient_api_error_is_not_a_refusal(status: int, message: str) -> None:
    with pytest.raises(ApiError):
        written(status, message)


class Opened:
    """An API server whose objects anybody may change, and whose admission adds `injects` to a new object."""

    def __init__(self, injects: dict[str, Any] | None = None) -> None:
        self._injects = injects or {}
        self.removed: list[str] = []

    async def create(self, kind: Kind, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
        return stored(manifest, **self._injects)

    async def remove_fields(self, kind: Kind, live: dict[str, Any], pointers: list[str]) -> dict[str, Any]:
        self.removed += pointers
        cleaned = copy.deepcopy(live)
        cleaned["metadata"]["resourceVersion"] = "8"
        for pointer in pointers:
            *parents, last = pointer.split("/")[1:]
            target: Any = cleaned
            for step in parents:
                target = target[int(step)] if isinstance(target, list) else target[step]
            del target[int(last) if isinstance(target, list) else last]
        return cleaned

    async def apply(self, kind: Kind, manifest: dict[str, Any]) -> dict[str, Any]:
        """An apply leaves alone what it does not name."""
        raise AssertionError("nothing but an addition differs")


def stored(manifest: dict[str, Any], **more: Any) -> dict[str, Any]:
    live = copy.deepcopy(manifest)
    live["metadata"] |= {"uid": "s", "resourceVersion": "7"}
    live["metadata"]["managedFields"] = [
        {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields_of(manifest)}
    ]
    live["spec"] |= copy.deepcopy(more)
    return live


def fields_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The fields of a manifest as the API server lists them; a list as a whole."""
    return {
        f"f:{name}": fields_of(value) if isinstance(value, dict) else {}
        for name, value in manifest.items()
        if name not in ("apiVersion", "kind")
    }


def gateway_service(request: ValidRequest) -> dict[str, Any]:
    children = render.shared_children(request.ic, request.installation)
    return next(dict(each) for each in children if each["kind"] == "Service")


def valid_request() -> ValidRequest:
    objects, installation = Objects([], [], []), render.Installation("gateway", "default")
    return ValidRequest(KEY, BODY, objects, Memory("u"), 5.0, None, api.parse(BODY), {}, installation)


def test_fields_that_somebody_added_and_that_open_a_child_are_removed() -> None:
    """An apply would leave them, as the manifest does not name them."""
    request, server = valid_request(), Opened()
    manifest = gateway_service(request)
    live = stored(manifest, externalIPs=["192.0.2.1"], sessionAffinity="None")
    live["spec"]["ports"].append({"port": 22, "protocol": "TCP"})
    cache = Cache({kind.plural: {} for kind in WATCHED} | {SERVICES.plural: {KEY: [live]}})
    children = Children(cache, server)  # type: ignore[arg-type]
    assert asyncio.run(children.ensure(request, manifest)) is None
    assert sorted(server.removed) == ["/spec/externalIPs", "/spec/ports/1"]
    closed = cache.get(SERVICES, KEY, manifest["metadata"]["name"])
    assert closed is not None
    assert closed["spec"] == manifest["spec"] | {"sessionAffinity": "None"}
    assert asyncio.run(children.ensure(request, manifest)) is None
    assert len(server.removed) == 2, "what is removed is not looked for again"


def test_fields_that_admission_adds_to_a_new_child_stay() -> None:
    """Admission would add them again, so removing them would never end."""
    request, server = valid_request(), Opened({"externalIPs": ["192.0.2.1"]})
    manifest = gateway_service(request)
    cache = Cache({kind.plural: {} for kind in WATCHED})
    children = Children(cache, server)  # type: ignore[arg-type]
    for _ in range(2):
        assert asyncio.run(children.ensure(request, manifest)) is None
    assert server.removed == []
    kept = cache.get(SERVICES, KEY, manifest["metadata"]["name"])
    assert kept is not None
    assert kept["spec"]["externalIPs"] == ["192.0.2.1"]
