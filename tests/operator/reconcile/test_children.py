"""Writing children: a refusal is reported with what to do, a transient error is retried."""

import asyncio
from typing import Any

import pytest

from imageclassifier_operator import api, render
from imageclassifier_operator.api.kinds import WATCHED
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.reconcile.children import Children
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import ApiError
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
    children = Children(cache, Refusing(status, message), render.Installation("gateway", "default"))  # type: ignore[arg-type]
    view = ValidRequest(KEY, BODY, Objects([], [], []), Memory("u"), 5.0, None, api.parse(BODY), 2)
    return asyncio.run(children.ensure(view, DEPLOYMENT))


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
