"""The routing file says how many calls a pod works on at once, if the spec says what the pod has."""

from dataclasses import replace
from typing import Any

import pytest

from imageclassifier_operator.api.serving import MAX_CALLS, Batching, ServingSettings
from imageclassifier_operator.rollout.routing import routing_file
from imageclassifier_operator.rollout.state import State
from simulated_cluster import served


def calls(serving: ServingSettings) -> Any:
    document = routing_file("pizza", "food", State(revision=1, serving=replace(served(1), serving=serving)))
    assert document is not None
    [version] = document["versions"]
    return version.get("calls")


@pytest.mark.parametrize(("cpu", "expected"), [("1", 2), ("500m", 2), ("4", 8), ("2500m", 6)])
def test_a_cpu_limit_allows_two_calls_for_each_core(cpu, expected):
    assert calls(ServingSettings(resources={"limits": {"cpu": cpu}})) == expected


def test_no_pod_gets_more_calls_than_its_server_answers():
    assert calls(ServingSettings(resources={"limits": {"cpu": "48"}})) == MAX_CALLS


def test_without_a_cpu_limit_the_gateway_decides():
    assert calls(ServingSettings()) is None


@pytest.mark.parametrize(
    "serving",
    [
        ServingSettings(resources={"limits": {"cpu": "1"}}, batching=Batching(8, 1000, 4)),
        ServingSettings(resources={"limits": {"cpu": "1", "nvidia.com/gpu": "1"}}),
    ],
)
def test_batches_and_gpus_get_many_calls(serving):
    assert calls(serving) == 64
