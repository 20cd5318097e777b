"""The limit for unsure predictions on a real API server, also while a version serves."""

from typing import Any

import pytest

from bare_apiserver import ApiError
from operator_process import Bench

pytestmark = pytest.mark.apiserver


def routed(bench: Bench) -> Any:
    return bench.routing()["versions"][0].get("unsure")


def test_the_limit_is_in_the_routing_file_and_may_change_while_the_version_serves(bench: Bench) -> None:
    bench.create(1, unsure={"below": "60%"}, gateway={"timeoutSeconds": 1})
    bench.verify(1)
    bench.wait_ready(1)
    assert routed(bench) == {"below": 0.6, "message": "I don't know."}
    servers = {pod["metadata"]["uid"] for pod in bench.pods("serving")}
    changed = {"below": 0.75, "message": "Look nearer."}
    bench.patch({"spec": {"unsure": {"below": "75%", "message": "Look nearer."}}})
    bench.wait(lambda: routed(bench) == changed, "the changed limit in the routing file")
    bench.patch({"spec": {"unsure": None}})
    bench.wait(lambda: routed(bench) is None, "the removed limit in the routing file")
    assert {pod["metadata"]["uid"] for pod in bench.pods("serving")} == servers


def test_a_limit_that_is_no_percentage_is_refused(bench: Bench) -> None:
    with pytest.raises(ApiError, match="not a percentage"):
        bench.create(1, unsure={"below": "0.6"})
