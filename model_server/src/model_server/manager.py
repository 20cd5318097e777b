"""Loads and unloads the versions of models.

`set_aspired` sets the wanted versions. The manager moves towards them one step at a time, in the order of
`version_policy.next_action`. Before a version is unloaded, its running requests finish. The state of a
version is kept after it is unloaded (`version_states`), because GetModelStatus reports it.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from .status import Code, StatusError
from .version_policy import Phase, Snapshot, next_action
from .version_states import State, VersionStates, servable_id

logger = logging.getLogger(__name__)


class Servable(Protocol):
    """A loaded version, as a loader returns it."""

    def close(self) -> None:
        """Free everything."""


ServableT = TypeVar("ServableT", bound=Servable)
Loader = Callable[[str, int, str], ServableT]


class _Version(Generic[ServableT]):
    def __init__(self, path: str) -> None:
        self.path = path
        self.phase = Phase.NEW
        self.aspired = True
        self.servable: ServableT | None = None
        self.requests = 0


class Manager(Generic[ServableT]):
    """Holds every version of every model; safe to use from any thread.

    `loader` takes a model's name, version and path, and returns the servable or raises StatusError. Loads run
    in `load_pool` (see `use_load_pool`), unloads in `unload_pool`.
    """

    def __init__(
        self,
        loader: "Loader[ServableT]",
        load_pool: Executor,
        unload_pool: Executor,
        max_num_load_retries: int,
        load_retry_interval_seconds: float,
    ) -> None:
        self._loader = loader
        self._load_pool = load_pool
        self._unload_pool = unload_pool
        self._max_num_load_retries = max_num_load_retries
        self._load_retry_interval_seconds = load_retry_interval_seconds
        self._changed = threading.Condition()
        self._versions: dict[str, dict[int, _Version[ServableT]]] = {}
        self._wanted: dict[str, Mapping[int, str]] = {}
        self.states = VersionStates(self._changed)
        threading.Thread(target=self._manage, name="manager", daemon=True).start()

    def use_load_pool(self, pool: Executor) -> None:
        """Use another pool for all further loads."""
        with self._changed:
            self._load_pool = pool

    def set_aspired(self, name: str, paths: Mapping[int, str]) -> None:
        """Set the wanted versions of a model and their paths; without any, the model is unloaded."""
        with self._changed:
            self._wanted[name] = paths
            self._changed.notify_all()

    @contextmanager
    def use(self, name: str, version: int | None) -> Iterator[tuple[int, ServableT]]:
        """Hold a version (None: the highest that serves) while a request uses it.

        Raises StatusError (NOT_FOUND) when it does not serve.
        """
        with self._changed:
            serving = {v: s for v, s in self._versions.get(name, {}).items() if s.phase is Phase.READY}
            number = max(serving, default=None) if version is None else version
            held = serving.get(number) if number is not None else None
            if held is None or held.servable is None or number is None:
                request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise StatusError(Code.NOT_FOUND, f"Servable not found for request: {request}")
            held.requests += 1
        try:
            yield number, held.servable
        finally:
            with self._changed:
                held.requests -= 1
                if held.phase is Phase.UNLOADING and held.requests == 0:
                    self._changed.notify_all()

    def _manage(self) -> None:
        while True:
            with self._changed:
                self._remove_unloaded()
                self._adopt_wanted()
                step = self._next_step()
                if step is None:
                    self._changed.wait()
                    continue
                name, number, loads = step
                version = self._versions[name][number]
                version.phase = Phase.LOADING if loads else Phase.UNLOADING
                self.states.publish(name, number, State.LOADING if loads else State.UNLOADING)
                pool = self._load_pool if loads else self._unload_pool
            pool.submit(self._load if loads else self._unload, name, number, version)

    def _remove_unloaded(self) -> None:
        for versions in self._versions.values():
            for number, version in list(versions.items()):
                if not version.aspired and version.phase in (Phase.NEW, Phase.GONE, Phase.FAILED):
                    del versions[number]

    def _adopt_wanted(self) -> None:
        for name, paths in list(self._wanted.items()):
            versions = self._versions.setdefault(name, {})
            if any(number in paths and not version.aspired for number, version in versions.items()):
                continue  # wanted again while it still unloads: it must be unloaded first
            del self._wanted[name]
            for number, version in versions.items():
                version.aspired = number in paths
            for number, path in paths.items():
                if number not in versions:
                    versions[number] = _Version(path)
                    self.states.publish(name, number, State.START)

    def _next_step(self) -> tuple[str, int, bool] | None:
        actions = [
            (name, action)
            for name, versions in self._versions.items()
            if (action := next_action({n: Snapshot(v.phase, v.aspired) for n, v in versions.items()}))
        ]
        actions.sort(key=lambda item: item[1].kind == "load")
        return (actions[0][0], actions[0][1].version, actions[0][1].kind == "load") if actions else None

    def _load(self, name: str, number: int, version: _Version[ServableT]) -> None:
        described = servable_id(name, number)
        logger.info("Loading servable version %s", described)
        servable: ServableT | None = None
        error: StatusError | None = None
        for attempt in range(self._max_num_load_retries + 1):
            if attempt:
                with self._changed:
                    self._changed.wait_for(
                        lambda: not version.aspired, max(0.0, self._load_retry_interval_seconds)
                    )
                    if not version.aspired:
                        break
                logger.info("Retrying of Loading servable: %s retry: %d", described, attempt)
            try:
                servable = self._loader(name, number, version.path)
            except StatusError as status:
                error = status
            except Exception as unexpected:  # without this, the version would stay LOADING for ever
                logger.exception("Unexpected error while loading %s", described)
                error = StatusError(Code.INTERNAL, f"{type(unexpected).__name__}: {unexpected}")
            else:
                break
            logger.error("Loading servable: %s failed: %s", described, error)
        with self._changed:
            if servable is not None and version.aspired:
                version.servable, version.phase = servable, Phase.READY
                self.states.publish(name, number, State.AVAILABLE)
                logger.info("Successfully loaded servable version %s", described)
                return
            if servable is not None:
                version.phase = Phase.GONE
                error = StatusError(Code.CANCELLED, "Loading of servable cancelled")
            else:
                version.phase = Phase.FAILED
            self.states.publish(name, number, State.END, error)
        if servable is not None:
            servable.close()

    def _unload(self, name: str, number: int, version: _Version[ServableT]) -> None:
        logger.info("Quiescing servable version %s", servable_id(name, number))
        with self._changed:
            self._changed.wait_for(lambda: version.requests == 0)
            servable, version.servable = version.servable, None
        if servable is not None:
            servable.close()
        with self._changed:
            version.phase = Phase.GONE
            self.states.publish(name, number, State.END)
        logger.info("Done unloading servable version %s", servable_id(name, number))
