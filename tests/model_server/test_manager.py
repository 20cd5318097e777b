"""The manager loads, retries and unloads versions; the loader is a plain function."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from waiting import wait_until

from model_server.manager import Manager
from model_server.status import Code, StatusError
from model_server.version_states import State


class FakeServable:
    """Remembers whether it was closed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


class FakeLoader:
    """Loads every version, unless a test makes it fail or wait."""

    def __init__(self) -> None:
        self.failures: dict[int, int] = {}
        self.attempts: list[int] = []
        self.loaded: dict[int, FakeServable] = {}
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, name: str, version: int, path: str) -> FakeServable:
        self.attempts.append(version)
        assert self.gate.wait(60)
        if self.failures.get(version, 0) > 0:
            self.failures[version] -= 1
            raise StatusError(Code.DATA_LOSS, "broken")
        self.loaded[version] = FakeServable(path)
        return self.loaded[version]


def manager(loader: FakeLoader, retries: int = 0) -> Manager[FakeServable]:
    return Manager(loader, ThreadPoolExecutor(2), ThreadPoolExecutor(2), retries, -1)


def states(managed: Manager[FakeServable]) -> dict[int, State]:
    return {version: status.state for version, status in managed.states.statuses("m").items()}


def test_wanted_versions_serve() -> None:
    loader = FakeLoader()
    managed = manager(loader)
    managed.set_aspired("m", {1: "/m/1", 2: "/m/2"})
    wait_until(lambda: states(managed) == {2: State.AVAILABLE, 1: State.AVAILABLE}, "both serve")
    with managed.use("m", None) as (version, servable):
        assert (version, servable.path) == (2, "/m/2")
    with managed.use("m", 1) as (version, _):
        assert version == 1


def test_a_version_in_use_is_unloaded_when_its_last_request_is_done() -> None:
    loader = FakeLoader()
    managed = manager(loader)
    managed.set_aspired("m", {1: "/m/1"})
    managed.states.wait_until_available({"m"}, "servable")
    with managed.use("m", 1) as (_, servable):
        managed.set_aspired("m", {})
        wait_until(lambda: states(managed) == {1: State.UNLOADING}, "it unloads")
        assert not servable.closed.is_set()
        with (
            pytest.raises(StatusError, match=r"Servable not found for request: Specific\(m, 1\)"),
            managed.use("m", 1),
        ):
            pass
    assert servable.closed.wait(60)
    wait_until(lambda: states(managed) == {1: State.END}, "it has ended")


def test_a_version_wanted_again_while_it_unloads_is_reloaded() -> None:
    loader = FakeLoader()
    managed = manager(loader)
    managed.set_aspired("m", {1: "/m/1"})
    managed.states.wait_until_available({"m"}, "servable")
    with managed.use("m", 1):
        managed.set_aspired("m", {})
        wait_until(lambda: states(managed) == {1: State.UNLOADING}, "it unloads")
        managed.set_aspired("m", {1: "/m/1"})
    wait_until(lambda: states(managed) == {1: State.AVAILABLE}, "it serves again")
    assert loader.attempts == [1, 1]


def test_a_failed_load_is_retried_as_often_as_allowed() -> None:
    loader = FakeLoader()
    loader.failures[1] = 2
    managed = manager(loader, retries=2)
    managed.set_aspired("m", {1: "/m/1"})
    managed.states.wait_until_available({"m"}, "servable")
    assert loader.attempts == [1, 1, 1]


def test_a_permanently_failed_version_is_not_retried_until_it_is_removed() -> None:
    loader = FakeLoader()
    loader.failures[1] = 1
    managed = manager(loader)
    managed.set_aspired("m", {1: "/m/1"})
    with pytest.raises(StatusError) as caught:
        managed.states.wait_until_available({"m"}, "servable")
    assert caught.value.code is Code.UNKNOWN
    assert caught.value.message == (
        "1 servable(s) did not become available: {{{name: m version: 1} due to error: DATA_LOSS: broken}, }"
    )
    managed.set_aspired("m", {1: "/m/1"})
    managed.set_aspired("other", {1: "/other/1"})
    managed.states.wait_until_available({"other"}, "servable")  # so the manager has processed the first one
    assert states(managed) == {1: State.END}
    managed.set_aspired("m", {})
    managed.set_aspired("other", {})
    wait_until(lambda: managed.states.statuses("other")[1].state is State.END, "both are forgotten")
    managed.set_aspired("m", {1: "/m/1"})
    wait_until(lambda: states(managed) == {1: State.AVAILABLE}, "it serves now")


def test_a_load_that_is_no_longer_wanted_is_dropped() -> None:
    loader = FakeLoader()
    loader.gate.clear()
    managed = manager(loader)
    managed.set_aspired("m", {1: "/m/1"})
    wait_until(lambda: states(managed) == {1: State.LOADING}, "it loads")
    managed.set_aspired("m", {})
    managed.set_aspired("other", {2: "/other/2"})
    wait_until(lambda: bool(managed.states.statuses("other")), "the manager has taken that up")
    loader.gate.set()
    wait_until(lambda: states(managed) == {1: State.END}, "it has ended")
    error = managed.states.statuses("m")[1].error
    assert error is not None
    assert error.code is Code.CANCELLED
    assert loader.loaded[1].closed.wait(60)


def test_an_unexpected_error_ends_the_version_and_not_the_manager() -> None:
    class Raises(FakeLoader):
        def __call__(self, name: str, version: int, path: str) -> Any:
            if version == 1:
                raise ZeroDivisionError("unexpected")
            return super().__call__(name, version, path)

    managed = manager(Raises())
    managed.set_aspired("m", {1: "/m/1"})
    with pytest.raises(StatusError, match="INTERNAL: ZeroDivisionError: unexpected"):
        managed.states.wait_until_available({"m"}, "servable")
    managed.set_aspired("other", {2: "/other/2"})
    managed.states.wait_until_available({"other"}, "servable")
