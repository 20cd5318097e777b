"""The pytest fixtures; `tests/conftest.py` names them for all tests and says how to use them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from bare_apiserver.control_plane import ControlPlane
from bare_apiserver.programs import ProgramMissingError, find_programs


def _start(feature_gates: str = "") -> ControlPlane:
    try:
        return ControlPlane(find_programs(), feature_gates=feature_gates)
    except ProgramMissingError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ControlPlane]:
    """The API server that all tests of this pytest process share; under xdist each worker has its own."""
    with _start() as control_plane:
        yield control_plane


@pytest.fixture
def namespace(apiserver: ControlPlane) -> Iterator[str]:
    """A fresh namespace on `apiserver`, deleted afterwards."""
    with apiserver.namespace() as name:
        yield name


@pytest.fixture
def start_apiserver() -> Iterator[Callable[..., ControlPlane]]:
    """Starts further API servers, for tests that break one or need other features; each ends with them."""
    with ExitStack() as stack:
        yield lambda feature_gates="": stack.enter_context(_start(feature_gates))
