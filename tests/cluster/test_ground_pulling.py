"""Images are pulled where a registry answers: against Debian's own container registry, on loopback.

It serves our base image under the names that would be pulled from Docker Hub.
"""

import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from free_ports import free_port

from laptop import apt, base_image, engine, registry

pytestmark = pytest.mark.cluster

CONFIGURATION = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {directory}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def registry_program() -> str:
    """docker-registry as found, else Debian's package unpacked into our cache: nothing is installed."""
    if found := shutil.which("docker-registry"):
        return found
    directory = apt.ensure_unpacked("docker-registry", "install docker-registry")
    return str(directory / "usr/bin/docker-registry")


@dataclass(frozen=True)
class LocalRegistry:
    """A running registry, and the id of the base image that it serves as `library/python:3.11-slim`."""

    host: str
    base_id: str


@pytest.fixture
def local_registry(registry_program: str, tmp_path: Path) -> Iterator[LocalRegistry]:
    port = free_port()
    configuration = tmp_path / "registry.yml"
    configuration.write_text(CONFIGURATION.format(directory=tmp_path / "images", port=port))
    with subprocess.Popen([registry_program, "serve", configuration]) as process:
        try:
            until(lambda: answers(port), "the registry answers")
            base, pushed = base_image.ensure_base(), f"127.0.0.1:{port}/library/{base_image.PULLED_BASE}"
            docker("tag", base, pushed)
            docker("push", "--quiet", pushed)
            docker("rmi", "--no-prune", pushed)
            yield LocalRegistry(f"127.0.0.1:{port}", image_id(base))
        finally:
            process.terminate()


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False


def until(condition: Callable[[], bool], what: str, timeout_seconds: float = 20) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds:.0f} s: {what}"
        time.sleep(0.1)


@pytest.fixture
def no_made_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any cached images, as on the first run."""
    monkeypatch.setattr(base_image, "made_base_name", lambda: "imageclassifier-base:not-made")


def image_id(name: str) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", name)


def test_an_image_that_the_user_names_is_pulled_from_its_registry(
    local_registry: LocalRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{local_registry.host}/library/{base_image.PULLED_BASE}"
    monkeypatch.setenv("BASE_IMAGE", name)
    try:
        assert base_image.ensure_base() == name
        assert image_id(name) == local_registry.base_id
    finally:
        docker("rmi", "--no-prune", name)


def test_a_name_that_no_registry_has_ends_with_what_to_do(
    local_registry: LocalRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{local_registry.host}/library/absent:1"
    monkeypatch.setenv("BASE_IMAGE", name)
    with pytest.raises(SystemExit):
        base_image.ensure_base()
    sentence = f"The image {name} is neither in the Docker Engine nor in its registry. Check its name."
    assert sentence in capsys.readouterr().err


@pytest.fixture
def mirrored(local_registry: LocalRegistry) -> Iterator[LocalRegistry]:
    """Our Docker engine, with that registry as its mirror of Docker Hub and without the image to pull."""
    before = image_id(base_image.PULLED_BASE) if registry.present(base_image.PULLED_BASE) else None
    if before:
        docker("rmi", "--no-prune", base_image.PULLED_BASE)
    engine.write_settings(mirrors=(f"http://{local_registry.host}",))
    engine.reload()
    try:
        mirrors = ("info", "--format", "{{.RegistryConfig.Mirrors}}")
        until(lambda: local_registry.host in docker(*mirrors), "the engine takes up its mirror")
        yield local_registry
    finally:
        engine.write_settings()
        engine.reload()
        if registry.present(base_image.PULLED_BASE):
            docker("rmi", "--no-prune", base_image.PULLED_BASE)
        if before:
            docker("tag", before, base_image.PULLED_BASE)


@pytest.mark.skipif(
    not engine.is_ours() or os.geteuid() != 0,
    reason="only an engine that we started may be given a mirror; the first test above shows the pulling",
)
def test_the_stock_base_image_is_pulled_through_a_mirror_where_nothing_was_made(
    mirrored: LocalRegistry, no_made_base: None
) -> None:
    assert base_image.ensure_base() == base_image.PULLED_BASE
    assert image_id(base_image.PULLED_BASE) == mirrored.base_id
