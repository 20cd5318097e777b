"""The API client on a real API server: which writes fail because the object is not the one that was read."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import CONFIG_MAPS
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.leader_election import LeaderElection, Timing
from operator_process import CLASSIFIERS, install_crd

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]


def with_client(apiserver: ControlPlane, use: Callable[[KubernetesClient], Awaitable[Any]]) -> Any:
    os.environ["KUBECONFIG"] = str(apiserver.kubeconfig)

    async def connect_and_use() -> Any:
        client = await KubernetesClient.connect(None)
        try:
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(connect_and_use())


def config_map(namespace: str, value: str) -> Json:
    metadata = {"name": "pizza-routing", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


def status_of(apiserver: ControlPlane, write: Callable[[KubernetesClient], Awaitable[Any]]) -> int:
    """The HTTP status of the error with which a write ends."""
    with pytest.raises(ApiError) as raised:
        with_client(apiserver, write)
    return raised.value.status


def test_an_apply_onto_an_object_succeeds_while_the_object_is_unchanged(
    apiserver: ControlPlane, namespace: str
) -> None:
    async def write_twice(client: KubernetesClient) -> Json:
        first = await client.create(CONFIG_MAPS, namespace, config_map(namespace, "1"))
        return await client.apply(CONFIG_MAPS, config_map(namespace, "2"), basis=first)

    assert with_client(apiserver, write_twice)["data"] == {"key": "2"}


@pytest.mark.parametrize("accident", ["changed", "deleted", "recreated"])
def test_an_apply_onto_an_object_is_a_conflict_once_the_object_is_another(
    apiserver: ControlPlane, namespace: str, accident: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    basis = apiserver.request("POST", path, config_map(namespace, "1"))
    if accident == "changed":
        apiserver.request("PUT", f"{path}/pizza-routing", config_map(namespace, "another's"))
    else:
        apiserver.request("DELETE", f"{path}/pizza-routing")
    if accident == "recreated":
        apiserver.request("POST", path, config_map(namespace, "another's"))

    async def write(client: KubernetesClient) -> None:
        await client.apply(CONFIG_MAPS, config_map(namespace, "2"), basis=basis)

    assert status_of(apiserver, write) == 409
    left = [each["data"]["key"] for each in apiserver.request("GET", path)["items"] if "key" in each["data"]]
    assert left == ([] if accident == "deleted" else ["another's"])


def test_creating_an_object_that_exists_is_a_conflict(apiserver: ControlPlane, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    apiserver.request("POST", path, config_map(namespace, "another's"))

    async def write(client: KubernetesClient) -> None:
        await client.create(CONFIG_MAPS, namespace, config_map(namespace, "2"))

    assert status_of(apiserver, write) == 409


@pytest.mark.parametrize("accident", ["changed", "recreated"])
def test_the_status_of_an_object_is_not_written_onto_a_newer_one(
    apiserver: ControlPlane, namespace: str, accident: str
) -> None:
    """As when an ImageClassifier is deleted and created again while its status is being written."""
    install_crd(apiserver)
    path = CLASSIFIERS.format(namespace)
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "pizza"},
        "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
    }
    basis = apiserver.request("POST", path, body)
    if accident == "recreated":
        apiserver.request("DELETE", f"{path}/pizza")
        apiserver.request("POST", path, body)
    else:
        patch = {"spec": {"replicas": 3}}
        apiserver.request("PATCH", f"{path}/pizza", patch, "application/merge-patch+json")

    async def write(client: KubernetesClient) -> None:
        await client.apply_status(basis, {"phase": "Stable"})

    assert status_of(apiserver, write) == 409
    assert "phase" not in apiserver.request("GET", f"{path}/pizza")["status"]


def test_a_client_that_may_not_write_any_more_only_reads(apiserver: ControlPlane, namespace: str) -> None:
    async def write(client: KubernetesClient) -> None:
        client.write_only_while(lambda: False)
        assert await client.read(CONFIG_MAPS, namespace, "pizza-routing") is None
        await client.create(CONFIG_MAPS, namespace, config_map(namespace, "1"))

    assert status_of(apiserver, write) == 0


def test_a_leader_may_not_write_once_its_lease_can_have_expired(
    apiserver: ControlPlane, namespace: str
) -> None:
    async def acquire(client: KubernetesClient) -> tuple[bool, bool, bool]:
        lasting = LeaderElection(client, namespace, "first")
        before = lasting.may_write()
        await lasting.acquire()
        after = lasting.may_write()
        await lasting.release()
        expired = LeaderElection(client, namespace, "second", Timing(duration_seconds=0.6))
        await expired.acquire()
        await asyncio.sleep(0.6)
        return before, after, expired.may_write()

    assert with_client(apiserver, acquire) == (False, True, False)
