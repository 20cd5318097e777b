"""The published states of all versions, as GetModelStatus reports them."""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from .status import Code, StatusError


class State(IntEnum):
    """ModelVersionStatus.State of get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """The state of a version; `sequence` orders the changes of all versions."""

    state: State
    error: StatusError | None
    sequence: int


def servable_id(name: str, version: int) -> str:
    """A model version as TensorFlow Serving prints it."""
    return f"{{name: {name} version: {version}}}"


class VersionStates:
    """Keeps the state of every version that was ever managed, and wakes up those who wait for a change.

    `changed` guards the states. The manager shares it, to publish a state together with its own change.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._statuses: dict[str, dict[int, VersionStatus]] = {}
        self._sequence = 0

    def publish(self, name: str, version: int, state: State, error: StatusError | None = None) -> None:
        """Set the state of a version. The caller holds `changed`."""
        self._sequence += 1
        self._statuses.setdefault(name, {})[version] = VersionStatus(state, error, self._sequence)
        self._changed.notify_all()

    def statuses(self, name: str) -> dict[int, VersionStatus]:
        """The states of all versions of a model that were ever managed, highest first."""
        with self._changed:
            return dict(sorted(self._statuses.get(name, {}).items(), reverse=True))

    def sequence(self) -> int:
        """The number of the last change, to wait for later ones."""
        with self._changed:
            return self._sequence

    def wait_until_available(self, names: Collection[str], noun: str, after: int = 0) -> None:
        """Wait until each model has a version that serves; changes up to the number `after` do not count.

        The highest version that serves or has ended decides, as in servable_state_monitor.cc. Raises
        StatusError (UNKNOWN) with the errors of the models that failed; the message calls them `noun`.
        """
        with self._changed:
            while None in (reached := {name: self._reached(name, after) for name in names}).values():
                self._changed.wait()
        failed = []
        for name, version_and_status in reached.items():
            version, status = version_and_status or (0, None)
            if status is not None and status.state is not State.AVAILABLE:
                cause = f" due to error: {status.error}" if status.error else ""
                failed.append(f"{{{servable_id(name, version)}{cause}}}, ")
        if failed:
            raise StatusError(
                Code.UNKNOWN, f"{len(failed)} {noun}(s) did not become available: {{{''.join(failed)}}}"
            )

    def _reached(self, name: str, after: int) -> tuple[int, VersionStatus] | None:
        for version, status in sorted(self._statuses.get(name, {}).items(), reverse=True):
            if status.sequence > after and status.state in (State.AVAILABLE, State.END):
                return version, status
        return None
