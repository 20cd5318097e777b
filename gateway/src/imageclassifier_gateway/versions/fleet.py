"""The versions in the routing file: a connection to each, and its state.

Each version has a thread that requests the contract until it gets it. Then the thread checks every two
seconds whether the version answers, so that the state is also known without traffic. A call that got no
response triggers a check at once, and the check decides whether the failure counts.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..contract import Contract, ContractError
from ..limits.line import Line
from . import tfserving_pb2 as pb
from .contracts import read_contract
from .model_server_addresses import count_pods
from .model_server_client import ModelServer
from .model_server_errors import ModelServerError, ModelTimeoutError, ModelUnavailableError
from .routing import Route, Routing

_CHECK_SECONDS = 2.0
_RETRY_SECONDS = 0.25
_CALL_SECONDS = 2.0
#: The calls that a pod works on at once if the routing file does not say it: its model server has no CPU
#: limit, and its node probably as many cores as this one. Two for each core keep it busy. Eight keep a much
#: larger node busy, because each call runs on several cores.
_CALLS = max(8, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class VersionState:
    """The result of the last check of a version.

    If the version becomes unavailable later, the contract stays, and `error` gives the reason.
    """

    contract: Contract | None = None
    error: str | None = "Not connected yet."
    reachable: bool = True
    """False if the last check got no response."""

    @property
    def ready(self) -> bool:
        """Whether the version has a contract and answers."""
        return self.contract is not None and self.error is None


class Version:
    """A version of the model and the connection to its pods."""

    def __init__(self, model: str, route: Route) -> None:
        self.model = model
        self.route = route
        self.number = route.version
        self._pods = 1
        self._line = Line(route.calls or _CALLS)
        self.server = ModelServer(route.target, model, route.version, self._line)
        self.state = VersionState()
        self._known = threading.Event()
        self._closed = threading.Event()
        self._check_now = threading.Event()
        self._unconfirmed: deque[Callable[[], None]] = deque()
        threading.Thread(target=self._keep_checking, name=f"version-{self.number}", daemon=True).start()

    def wait_for_contract(self, timeout_seconds: float) -> Contract | None:
        """Wait for the first contract, and return the current one; None after the timeout."""
        if not self._known.is_set():
            self._known.wait(max(0.0, timeout_seconds))
        return self.state.contract

    def confirm(self, count: Callable[[], None]) -> None:
        """Check the version at once, and call `count` if it answers.

        If it does not, a node or the network may have caused the failed call, so the failure must not count.
        """
        self._unconfirmed.append(count)
        self._check_now.set()

    def change_route(self, route: Route) -> None:
        """Take over a route that leads to the same pods."""
        self.route = route
        self._limit_calls()

    def close(self) -> None:
        """Stop the checks and close the connection."""
        self._closed.set()
        self._check_now.set()
        self.server.close()

    def _keep_checking(self) -> None:
        while not self._closed.is_set():
            self._check_now.clear()
            waiting = len(self._unconfirmed)
            try:
                self.state = self._check()
            except Exception as error:  # the thread must survive, to check again
                logging.getLogger(__name__).exception(
                    "The check of version %s failed because of a bug.", self.number
                )
                self.state = VersionState(
                    self.state.contract, f"The check failed because of a bug in the gateway: {error!r}."
                )
            if self.state.contract is not None:
                self._known.set()
            for count in [self._unconfirmed.popleft() for _ in range(waiting)]:
                if self.state.reachable:
                    count()
            if self.state.ready and not self._closed.is_set():
                self._pods = count_pods(self.route.target)
                self._limit_calls()
            self._check_now.wait(_CHECK_SECONDS if self.state.ready else _RETRY_SECONDS)

    def _limit_calls(self) -> None:
        self._line.set_limit((self.route.calls or _CALLS) * self._pods)

    def _check(self) -> VersionState:
        """Request the state, and the contract too if the version was not ready: it may have changed."""
        contract = self.state.contract
        try:
            status = self.server.status(timeout_seconds=_CALL_SECONDS)
            if status.state != pb.ModelVersionStatus.AVAILABLE:
                state = pb.ModelVersionStatus.State.Name(status.state)
                reason = f": {status.status.error_message[:300]}" if status.status.error_message else ""
                return VersionState(
                    contract, f"The model server reports {state}{reason} ({self.route.target})."
                )
            if not self.state.ready:
                contract = read_contract(
                    self.server, self.route.contract, default_name=self.model, timeout_seconds=_CALL_SECONDS
                )
                contract = contract.with_unsure(self.route.unsure).with_unfamiliar(self.route.unfamiliar)
        except (ModelUnavailableError, ModelTimeoutError) as error:
            return VersionState(contract, f"{error} ({self.route.target})", reachable=False)
        except (ModelServerError, ContractError) as error:
            return VersionState(contract, f"{error} ({self.route.target})")
        return VersionState(contract, None)


@dataclass(frozen=True)
class Fleet:
    """A routing, and a connection to each of its versions. A request uses the same fleet to its end."""

    routing: Routing
    versions: dict[int, Version]

    @property
    def serving(self) -> Version:
        """The serving version."""
        return self.versions[self.routing.serving]


def follow(fleet: Fleet | None, routing: Routing, close_later: Callable[[Version], None]) -> Fleet:
    """The fleet for a new routing.

    It keeps the connections to unchanged versions. The others go to `close_later`, because earlier requests
    may still use them.
    """
    before = fleet.versions if fleet else {}
    versions = {}
    for route in routing.routes:
        old = before.get(route.version)
        same = (
            old is not None
            and old.model == routing.model
            and replace(old.route, percent=route.percent, calls=route.calls) == route
        )
        if old is not None and same:
            old.change_route(route)
            versions[route.version] = old
        else:
            versions[route.version] = Version(routing.model, route)
    for version in before.values():
        if version not in versions.values():
            close_later(version)
    return Fleet(routing, versions)
