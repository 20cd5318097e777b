"""A real controller of the Gateway API: Traefik (kind/traefik)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import wait_until

from laptop import golang
from laptop.progress import step

CONTROLLER = "traefik.io/gateway-controller"
_START_SECONDS = 60


def program() -> Path:
    """The path of the program that `make install-checkers` builds."""
    path = golang.binary_path(golang.TRAEFIK)
    assert path.is_file(), f"There is no Traefik for tests yet ({path}). Run `make install-checkers`."
    return path


def crds() -> Path:
    """The folder of the CRDs of the Gateway API, of the release that Traefik uses."""
    with step("Find the CRDs of the Gateway API") as current:
        module = golang.module_directory(golang.TRAEFIK.module, "sigs.k8s.io/gateway-api", current)
    return module / "config/crd/standard"


@contextmanager
def traefik(folder: Path, kubeconfig: Path, port: int) -> Iterator[Path]:
    """Run Traefik with the entry point `web` on this port of loopback. Gives its log.

    The API server must have the CRDs already.
    """
    log = folder / "traefik.log"
    command: list[str | Path] = [
        program(),
        f"--entryPoints.web.address=127.0.0.1:{port}",
        "--providers.kubernetesGateway=true",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--log.level=INFO",
    ]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**environment, "KUBECONFIG": str(kubeconfig)},
            stdout=output,
            stderr=output,
            cwd=folder,
        )

        def started() -> bool:
            assert process.poll() is None, log.read_text()
            return b"Creating cluster-external Provider client" in log.read_bytes()

        try:
            wait_until(started, "Traefik", _START_SECONDS)
            yield log
        finally:
            process.terminate()
            process.wait()
