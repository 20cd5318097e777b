"""The rule for pictures unlike the training pictures on a real API server, also while a version serves."""

from typing import Any

import pytest

from bare_apiserver import ApiError
from operator_process import Bench

pytestmark = pytest.mark.apiserver


def routed(bench: Bench) -> Any:
    return bench.routing()["versions"][0].get("unfamiliar")


def test_the_rule_is_in_the_routing_file_and_may_change_while_the_version_serves(bench: Bench) -> None:
    bench.create(1, unfamiliar={"beyond": "99.5%"}, gateway={"timeoutSeconds": 1})
    bench.verify(1)
    bench.wait_ready(1)
    assert routed(bench) == {"beyond": 0.995}
    servers = {pod["metadata"]["uid"] for pod in bench.pods("serving")}
    bench.patch({"spec": {"unfamiliar": {"policy": "Label", "beyond": None}}})
    bench.wait(lambda: routed(bench) == {"ignored": True}, "the changed rule in the routing file")
    bench.patch({"spec": {"unfamiliar": None}})
    bench.wait(lambda: routed(bench) is None, "the removed rule in the routing file")
    assert {pod["metadata"]["uid"] for pod in bench.pods("serving")} == servers


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"unfamiliar": {"beyond": "0.99"}}, "not a percentage from 50% to 100%"),
        ({"unfamiliar": {"beyond": "20%"}}, "not a percentage from 50% to 100%"),
        ({"unfamiliar": {"policy": "Label", "message": "No."}}, "beyond and message have no effect"),
        (
            {"unfamiliar": {}, "classes": [{"name": "a"}, {"name": "b"}], "input": {"height": 8, "width": 8}},
            "unfamiliar is for models with a contract of their own",
        ),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(bench: Bench, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        bench.create(1, **fields)
