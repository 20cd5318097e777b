"""The operator as operator/install/install.yaml runs it: its account, environment and memory limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from free_ports import free_port
from processes import Memory, memory

from bare_apiserver import ControlPlane
from imageclassifier_operator.api import names

INSTALL = Path(__file__).parents[3] / "operator/install/install.yaml"
SYSTEM, ACCOUNT = "imageclassifier-system", "imageclassifier-operator"
USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"


def install(server: ControlPlane) -> Path:
    """Install everything that the operator needs. Returns the kubeconfig of its account."""
    server.kubectl("apply", "--server-side", "-f", str(INSTALL))
    server.wait_until_established(f"{names.PLURAL}.{names.GROUP}")
    return server.kubeconfig_of_service_account(SYSTEM, ACCOUNT)


def _container() -> dict[str, Any]:
    documents = yaml.safe_load_all(INSTALL.read_text(encoding="utf-8"))
    deployment = next(document for document in documents if document["kind"] == "Deployment")
    container: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def memory_limit() -> float:
    """The memory limit of the installation in MiB."""
    limit: str = _container()["resources"]["limits"]["memory"]
    return float(limit.removesuffix("Mi"))


class InstalledOperator:
    """One replica, which runs until the end of `with InstalledOperator(kubeconfig, log)`."""

    def __init__(self, kubeconfig: Path, log: Path, name: str = "operator-0") -> None:
        self._log, self._metrics_port = log, free_port()
        plain = {entry["name"]: entry["value"] for entry in _container()["env"] if "value" in entry}
        self._environment = {
            **os.environ,
            **plain,
            "KUBECONFIG": str(kubeconfig),
            "POD_NAME": name,
            "POD_NAMESPACE": SYSTEM,
            "IMAGECLASSIFIER_PROBE_PORT": str(free_port()),
            "IMAGECLASSIFIER_METRICS_PORT": str(self._metrics_port),
        }

    def __enter__(self) -> InstalledOperator:
        self.restarts = 0
        self._start()
        return self

    def restart_if_it_ended(self) -> None:
        """Restart it as the kubelet would: on an overloaded machine a leader may lose its Lease."""
        if self._process.poll() is not None:
            print(f"  the operator ended with exit code {self._process.returncode}; its log is {self._log}")
            self.restarts += 1
            self._start()

    def _start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "imageclassifier_operator"],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def process_id(self) -> int:
        return self._process.pid

    def memory(self) -> Memory:
        """The memory of the process."""
        return memory(self._process.pid)

    def wait_until_it_leads(self, seconds: float = 120) -> None:
        """Wait until this replica leads. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not self._leads():
            self.restart_if_it_ended()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the operator does not lead after {seconds:g} s: {self._log}")
            time.sleep(0.05)

    def _leads(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=5
            ) as answer:
                return b"\nimageclassifier_leader 1.0" in answer.read()
        except OSError:
            return False
