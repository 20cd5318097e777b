"""Fixtures for the tests on the real laptop cluster (`make cluster` brings it up)."""

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster_testbed import READY_SECONDS, Kubectl, create_namespace
from laptop import models, places, product
from truth_prober import TruthProber

_TOOL = Path(__file__).resolve().parents[2] / "kind" / "tool.py"
_CONTEXT = "kind-imageclassifier"
REPORT: list[str] = []
"""What the prober outside the operator found in each namespace."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist sends its part of the report to the process that prints it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["truth"] = REPORT


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    REPORT.extend(getattr(node, "workeroutput", {}).get("truth", ()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if REPORT:
        terminalreporter.section("Statuses beside what clients got, every 100 ms")
        terminalreporter.write_line("\n".join(REPORT))


def _answer_of_tool(question: str) -> str:
    return subprocess.run(
        ["python3", _TOOL, question], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="session")
def cluster_kubectl() -> Kubectl:
    """kubectl for cluster-scoped objects."""
    return Kubectl(_answer_of_tool("kubectl-binary"), _CONTEXT)


@contextmanager
def _namespace(cluster_kubectl: Kubectl) -> Iterator[Kubectl]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    within = create_namespace(cluster_kubectl, name)
    with TruthProber(within) as prober:
        yield within
    REPORT.extend(prober.report())
    cluster_kubectl("delete", "namespace", name, "--wait=false")
    lies = prober.contradictions()
    assert not lies, f"{len(lies)} times the status contradicted what clients got, first: {lies[0]}"


@pytest.fixture
def kubectl(cluster_kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a new namespace of this test, which is deleted afterwards."""
    with _namespace(cluster_kubectl) as kubectl:
        yield kubectl


@pytest.fixture(scope="module")
def module_kubectl(cluster_kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a namespace that the tests of one file share."""
    with _namespace(cluster_kubectl) as kubectl:
        yield kubectl


def load_base_image(cluster: str) -> str:
    """Brings an image with Python and the usual shell programs onto a cluster's nodes; returns its name."""
    image = _answer_of_tool("base-image")
    load = [_answer_of_tool("kind-binary"), "load", "docker-image", image, f"--name={cluster}"]
    subprocess.run(load, check=True, capture_output=True)
    return image


@pytest.fixture(scope="session")
def base_image() -> str:
    """The name of an image on the laptop cluster's nodes that has Python and the usual shell programs."""
    return load_base_image(_CONTEXT.removeprefix("kind-"))


@pytest.fixture(scope="session")
def workers_image() -> str:
    """The same on the nodes of the cluster with two workers."""
    return load_base_image(f"{_CONTEXT.removeprefix('kind-')}-workers")


@pytest.fixture(scope="session")
def workers_kubectl() -> Kubectl:
    """kubectl for the cluster with two workers (`make cluster-with-workers`)."""
    return Kubectl(_answer_of_tool("kubectl-binary"), f"{_CONTEXT}-workers", "default")


@pytest.fixture(scope="session")
def pictures() -> dict[str, Path]:
    """Drawn pictures by what they show: `pizza` and `not_pizza`."""
    return models.draw_pictures()


@pytest.fixture(scope="session")
def installed() -> dict[str, str]:
    """The product on the laptop cluster, as `make demo` installs it; the names of its images by what they
    are."""
    with places.exclusive("cluster-tests"):  # one test process creates it, the others find it
        images = product.ensure_images(models.ensure())
        product.install(images)
    return images


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., Any]:
    """Polls until the result is truthy, and returns it; fails with the last result at the timeout."""

    def wait(question: Callable[[], Any], what: str, timeout_seconds: float = READY_SECONDS) -> Any:
        deadline, last = time.monotonic() + timeout_seconds, None
        while True:
            try:
                last = question()
                if last:
                    return last
            except AssertionError as error:
                last = error
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {timeout_seconds:.0f} s; last: {last}")
            time.sleep(1)

    return wait
