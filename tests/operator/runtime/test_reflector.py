"""A reflector on a real API server: what it has after a broken watch, a lost history, and a lost label."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from bare_apiserver import ControlPlane
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import CONFIG_MAPS
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.reflector import Listener, Reflector
from imageclassifier_operator.runtime.store import Removed, Store
from imageclassifier_operator.runtime.work_queue import Key

pytestmark = pytest.mark.apiserver

MERGE = "application/merge-patch+json"


class Reflected:
    """A running reflector of the ConfigMaps of one namespace."""

    def __init__(self, server: ControlPlane, namespace: str) -> None:
        self.server, self.namespace, self.store = server, namespace, Store(CONFIG_MAPS)
        self.known = ""
        self.changed: list[Key] = []
        self.added: list[str] = []
        self.removed: list[Removed] = []

    @contextlib.asynccontextmanager
    async def running(self, kubeconfig: object) -> AsyncIterator["Reflected"]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(kubeconfig))
            client = await KubernetesClient.connect(self.namespace)
        listener = Listener(
            self.changed.append,
            lambda _, uid: self.added.append(uid),
            lambda _, removed: self.removed.append(removed),
            lambda _, __, body: body["metadata"]["name"] == self.known,
        )
        reflector = Reflector(client, CONFIG_MAPS, self.store, listener, asyncio.Lock())
        task = asyncio.create_task(reflector.run())
        try:
            await asyncio.wait_for(reflector.listed.wait(), 60)
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.close()

    def create(self, name: str) -> None:
        body = {"metadata": {"name": name, "labels": names.labels("pizza")}}
        self.server.request("POST", CONFIG_MAPS.path(self.namespace), body)

    def delete(self, name: str) -> None:
        self.server.request("DELETE", CONFIG_MAPS.path(self.namespace, name))

    def label(self, name: str, manager: str | None) -> None:
        body = {"metadata": {"labels": {names.LABEL_MANAGED_BY: manager}}}
        self.server.request("PATCH", CONFIG_MAPS.path(self.namespace, name), body, MERGE)

    async def has(self, *wanted: str) -> None:
        """Wait until the store has exactly these."""
        key = Key(self.namespace, "pizza")
        for _ in range(600):
            found = {body["metadata"]["name"] for body in self.store.get(key, [])}
            if found == set(wanted):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"the store has {found}, not {wanted}")


def test_a_store_follows_the_api_server(apiserver: ControlPlane, namespace: str) -> None:
    async def follow() -> None:
        reflected = Reflected(apiserver, namespace)
        reflected.create("first")
        async with reflected.running(apiserver.kubeconfig):
            await reflected.has("first")
            reflected.create("second")
            await reflected.has("first", "second")
            reflected.delete("first")
            await reflected.has("second")
            assert [removed.name for removed in reflected.removed] == ["first"]
            assert set(reflected.changed) == {Key(namespace, "pizza")}

    asyncio.run(follow())


def test_an_object_that_is_known_is_stored_without_a_call(apiserver: ControlPlane, namespace: str) -> None:
    async def follow() -> None:
        reflected = Reflected(apiserver, namespace)
        reflected.known = "our-own"
        async with reflected.running(apiserver.kubeconfig):
            reflected.create("our-own")
            await reflected.has("our-own")
            assert reflected.changed == []
            reflected.delete("our-own")
            await reflected.has()
            assert reflected.changed == [Key(namespace, "pizza")]

    asyncio.run(follow())


def test_an_object_that_loses_its_label_and_regains_it_is_there_again(
    apiserver: ControlPlane, namespace: str
) -> None:
    async def relabel() -> None:
        reflected = Reflected(apiserver, namespace)
        reflected.create("first")
        async with reflected.running(apiserver.kubeconfig):
            reflected.label("first", "somebody")
            await reflected.has()
            reflected.label("first", names.MANAGER)
            await reflected.has("first")
            assert len(reflected.added) == 2
            assert len(set(reflected.added)) == 1

    asyncio.run(relabel())


def test_objects_that_come_and_go_leave_nothing_behind(apiserver: ControlPlane, namespace: str) -> None:
    async def come_and_go() -> None:
        reflected = Reflected(apiserver, namespace)
        async with reflected.running(apiserver.kubeconfig):
            for number in range(30):
                reflected.create(f"object-{number}")
                reflected.delete(f"object-{number}")
            reflected.create("last")
            await reflected.has("last")
            assert len(reflected.store.uids()) == len(reflected.store._by_key) == 1

    asyncio.run(come_and_go())


def test_what_changed_while_the_watch_was_broken_is_known_when_it_is_back(
    start_apiserver: Callable[[], ControlPlane],
) -> None:
    """At first the API server still has the history, then, after its restart, no more."""
    server = start_apiserver()

    async def break_it() -> None:
        with server.namespace() as namespace, server.proxy() as proxy:
            reflected = Reflected(server, namespace)
            for name in ("first", "second"):
                reflected.create(name)
            async with reflected.running(server.kubeconfig_for(proxy)):
                proxy.sever()
                reflected.delete("first")
                proxy.restore()
                await reflected.has("second")
                proxy.sever()
                reflected.delete("second")
                reflected.create("third")
                await asyncio.to_thread(server.kill, "kube-apiserver")
                await asyncio.to_thread(server.start, "kube-apiserver")
                proxy.restore()
                await reflected.has("third")
                assert [removed.name for removed in reflected.removed] == ["first", "second"]

    asyncio.run(break_it())
