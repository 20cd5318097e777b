"""examples/compose.yaml brings up a gateway that answers, from our own images.

`docker compose` runs it where there is one. Where there is only the docker command, as on our own machines,
the few keys the file uses are handed to `docker run` one by one; a key that this does not know fails the
test.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from free_ports import free_port

from gateway_process import request
from gateway_testbed import eventually, picture

pytestmark = pytest.mark.cluster

COMPOSE_FILE = Path(__file__).parents[2] / "examples" / "compose.yaml"
SERVING_IMAGE = "imageclassifier/model-server:dev"


def docker(*arguments: str, check: bool = True) -> str:
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert not check or result.returncode == 0, f"docker {' '.join(arguments)}: {result.stderr}"
    return result.stdout.strip()


class Project:
    """A compose project with its own names, so that it does not disturb other projects."""

    def __init__(self, folder: Path) -> None:
        self.name = f"imageclassifier-test-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        text = COMPOSE_FILE.read_text().replace("127.0.0.1:8080:", f"127.0.0.1:{self.port}:")
        self.file = folder / "compose.yaml"
        self.file.write_text(text)
        self._document = yaml.safe_load(_with_environment(text))
        self._folder = folder
        self._has_compose = "compose" in docker("compose", "version", check=False).lower()

    def up(self) -> None:
        if self._has_compose:
            subprocess.run(
                ["docker", "compose", "-p", self.name, "-f", self.file, "up", "--detach"],
                env={**os.environ, "SERVING_IMAGE": SERVING_IMAGE},
                check=True,
            )
            return
        docker("network", "create", self.name)
        for volume in self._document["volumes"]:
            docker("volume", "create", f"{self.name}-{volume}")
        done: set[str] = set()
        while waiting := [name for name in self._document["services"] if name not in done]:
            name = next(
                n for n in waiting if set(self._document["services"][n].get("depends_on", ())) <= done
            )
            self._run(name, dict(self._document["services"][name]))
            done.add(name)

    def down(self) -> None:
        if self._has_compose:
            docker("compose", "-p", self.name, "-f", str(self.file), "down", "--volumes")
            return
        for service in self._document["services"]:
            docker("rm", "--force", f"{self.name}-{service}", check=False)
        for volume in self._document["volumes"]:
            docker("volume", "rm", f"{self.name}-{volume}", check=False)
        docker("network", "rm", self.name, check=False)

    def _run(self, name: str, service: dict[str, Any]) -> None:
        container = f"{self.name}-{name}"
        arguments = ["--name", container, "--network", self.name, "--network-alias", name]
        image, entrypoint = service.pop("image"), list(service.pop("entrypoint", []))
        command = [*entrypoint[1:], *service.pop("command", [])]
        if entrypoint:
            arguments += ["--entrypoint", entrypoint[0]]
        if user := service.pop("user", None):
            arguments += ["--user", user]
        if service.pop("read_only", False):
            arguments.append("--read-only")
        for key, flag in (
            ("cap_drop", "--cap-drop"),
            ("security_opt", "--security-opt"),
            ("ports", "--publish"),
        ):
            for value in service.pop(key, []):
                arguments += [flag, value]
        for volume in service.pop("volumes", []):
            arguments += ["--volume", f"{self.name}-{volume}"]
        for variable, value in service.pop("environment", {}).items():
            arguments += ["--env", f"{variable}={value}"]
        for config in service.pop("configs", []):
            path = self._folder / config["source"]
            path.write_text(self._document["configs"][config["source"]]["content"])
            path.chmod(0o644)
            arguments += ["--volume", f"{path}:{config['target']}:ro"]
        dependencies = service.pop("depends_on", {})
        assert all(v == {"condition": "service_completed_successfully"} for v in dependencies.values())
        for dependency in dependencies:
            assert docker("wait", f"{self.name}-{dependency}") == "0"
        service.pop("stop_grace_period", None)
        assert service == {}, f"this test does not know {sorted(service)}"
        docker("run", "--detach", *arguments, image, *command)


def _with_environment(text: str) -> str:
    """The file with the defaults of its variables, and the model server that can be had everywhere."""
    text = re.sub(r"\$\{SERVING_IMAGE:-[^}]*\}", SERVING_IMAGE, text)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.fixture
def project(installed: object, tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    try:
        project.up()
        yield project
    finally:
        project.down()


def test_a_picture_is_answered_without_kubernetes(project: Project) -> None:
    def answer() -> Any:
        try:
            got = request(project.port, "POST", "/predict", picture("white", size=(300, 200)))
        except OSError:
            return None
        return got if got.status == 200 else None

    document = eventually(answer, "the gateway answers", 180).json
    assert document["prediction"] in ("It's a pizza!", "Not a pizza.")
    assert document["model"] == {"name": "pizza-model", "version": 1}
    assert request(project.port, "GET", "/").status == 200
    assert json.loads(request(project.port, "GET", "/v1/models/pizza-model").body)
