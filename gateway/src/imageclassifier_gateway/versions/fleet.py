"""The versions the routing file names: a connection to each, and what is known about it.

Each version has a thread of its own that asks for the contract until it has it, and then looks every few
seconds whether the version still answers, so that a version without traffic is reported on as well. A call
that got no answer starts the next check at once; the check decides whether the failure counts.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..contract import CONTRACT_SIGNATURE, Contract, ContractError, parse_contract
from . import tfserving_pb2 as pb
from .model_failures import ModelServerError, ModelTimeoutError, ModelUnavailableError
from .model_server_client import ModelServer
from .routing import Route, Routing

_CHECK_SECONDS = 2.0
_RETRY_SECONDS = 0.25
_CALL_SECONDS = 2.0


@dataclass(frozen=True)
class VersionState:
    """What is known about a version now.

    The contract stays when the version is lost later; `error` then gives the reason.
    """

    contract: Contract | None = None
    error: str | None = "Not connected yet."
    reachable: bool = True
    """False when the last check got no answer."""

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
        self.server = ModelServer(route.target, model, route.version)
        self.state = VersionState()
        self._known = threading.Event()
        self._closed = threading.Event()
        self._check_now = threading.Event()
        self._unconfirmed: deque[Callable[[], None]] = deque()
        threading.Thread(target=self._keep_checking, name=f"version-{self.number}", daemon=True).start()

    def wait_for_contract(self, timeout_seconds: float) -> Contract | None:
        """The contract, waiting for the first one; None when it does not come in time."""
        if not self._known.is_set():
            self._known.wait(max(0.0, timeout_seconds))
        return self.state.contract

    def confirm(self, count: Callable[[], None]) -> None:
        """Check the version at once, and call `count` if it answers.

        A failed call without an answer counts only then: otherwise a node or the network is the cause.
        """
        self._unconfirmed.append(count)
        self._check_now.set()

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
            except Exception as error:  # a thread that ended would never see the version come back
                logging.getLogger(__name__).exception(
                    "The check of version %s failed because of a bug.", self.number
                )
                self.state = VersionState(
                    self.state.contract, f"The check failed because of a bug of the gateway: {error!r}."
                )
            if self.state.contract is not None:
                self._known.set()
            for count in [self._unconfirmed.popleft() for _ in range(waiting)]:
                if self.state.reachable:
                    count()
            self._check_now.wait(_CHECK_SECONDS if self.state.ready else _RETRY_SECONDS)

    def _check(self) -> VersionState:
        """Read the state, and the contract if the version was not ready before, since it may have changed."""
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
                contract = self._read_contract()
        except (ModelUnavailableError, ModelTimeoutError) as error:
            return VersionState(contract, f"{error} ({self.route.target})", reachable=False)
        except (ModelServerError, ContractError) as error:
            return VersionState(contract, f"{error} ({self.route.target})")
        return VersionState(contract, None)

    def _read_contract(self) -> Contract:
        if self.route.contract is not None:
            return parse_contract(self.route.contract, default_name=self.model)
        text = self.server.text(CONTRACT_SIGNATURE, timeout_seconds=_CALL_SECONDS)
        return parse_contract(text, default_name=self.model)


@dataclass(frozen=True)
class Fleet:
    """A routing and a connection for each of its versions; a request uses one fleet to its end."""

    routing: Routing
    versions: dict[int, Version]

    @property
    def serving(self) -> Version:
        """The serving version."""
        return self.versions[self.routing.serving]


def follow(fleet: Fleet | None, routing: Routing, close_later: Callable[[Version], None]) -> Fleet:
    """The fleet for a new routing.

    Unchanged connections are kept. The others go to `close_later`, because earlier requests may still
    use them.
    """
    before = fleet.versions if fleet else {}
    versions = {}
    for route in routing.routes:
        old = before.get(route.version)
        same = (
            old is not None
            and old.model == routing.model
            and (old.route.target, old.route.contract) == (route.target, route.contract)
        )
        versions[route.version] = old if old is not None and same else Version(routing.model, route)
    for version in before.values():
        if version not in versions.values():
            close_later(version)
    return Fleet(routing, versions)
