"""One control plane on loopback: starting it, asking it, breaking it."""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

from bare_apiserver import audit, credentials, fake_nodes
from bare_apiserver.component_flags import Setup, component_flags
from bare_apiserver.processes import Processes
from bare_apiserver.programs import Programs
from bare_apiserver.proxy import SeverableProxy

_START_DEADLINE_SECONDS = 120.0  # two cores shared by several test runs; alone it takes about five
_POLL_SECONDS = 0.05


class ApiError(Exception):
    """The API server refused a request; `status_code` and `message` are its answer's."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(f"{status_code}: {message}")
        self.status_code = status_code
        self.message = message


class ControlPlane:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with RBAC and an audit log.

    Everything lives in one temporary directory. Use it as a context manager; leaving it kills the processes
    and removes the directory, and so does the end of this Python process, in whatever way it ends.
    """

    def __init__(
        self,
        programs: Programs,
        stages: str = fake_nodes.STAGES,
        pod_network: str = fake_nodes.POD_NETWORK,
        requests_per_second: int | None = None,
        feature_gates: str = "",
    ) -> None:
        """`stages` and `pod_network` say how pods fare on the fake nodes, and which addresses they get.

        `requests_per_second`: the limit of each controller and of the scheduler; Kubernetes has 20 and 50.
        `feature_gates`: further features of the API server, such as ImageVolume=true.
        """
        self._programs, self._stages = programs, stages
        self.process_ids: dict[str, int] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="bare-apiserver-"))
        self._processes = Processes(self.directory)
        # Bound but never listening: the kernel gives the port to nobody else, and kube-apiserver, which binds
        # with SO_REUSEPORT too (--permit-port-sharing), finds it free now and after each restart.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.certificate, key = credentials.make_certificate(self.directory)
        self._tls = ssl.create_default_context(cafile=str(self.certificate))
        self._users = credentials.make_users()
        self._write("tokens.csv", credentials.token_file(self._users))
        self._write("audit-policy.json", audit.POLICY)
        self._audit_log = self.directory / "audit.log"
        (self.directory / "kubectl").symlink_to(programs.kubernetes)
        # Written once: a component that is still starting would find a file empty that is written again.
        self._kubeconfigs = {user: self._kubeconfig_of(user) for user in self._users}
        self.kubeconfig: Path = self._kubeconfigs[credentials.ADMIN]
        self._flags = component_flags(
            Setup(
                self.directory,
                self.port,
                self.certificate,
                key,
                self._audit_log,
                self._kubeconfigs,
                pod_network,
                requests_per_second,
                feature_gates,
            )
        )

    def __enter__(self) -> "ControlPlane":
        try:
            self._start_everything()
        except BaseException as error:
            error.add_note(self._processes.ends_of_logs())  # the logs go with the directory
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the processes, remove the directory."""
        self._processes.close()
        self._reservation.close()
        shutil.rmtree(self.directory, ignore_errors=True)  # in case the supervisor itself was killed

    # Starting, stopping, breaking

    def start(self, component: str) -> None:
        """Start `etcd` or `kube-apiserver` and wait until it is ready, or just start
        `kube-controller-manager`, `kube-scheduler` or `kwok`. Raises RuntimeError with the end of its log
        when it exits instead.
        """
        argv = [component, *self._flags[component]]
        program = self._programs.kwok if component == "kwok" else self._programs.kubernetes
        self.process_ids[component] = self._processes.start(component, argv, program)
        if component == "etcd":
            self.wait_for(self._etcd_listens, "etcd to listen")
        elif component == "kube-apiserver":
            self.wait_for(self._is_ready, "kube-apiserver to be ready")

    def kill(self, component: str) -> None:
        """Kill a component at once (SIGKILL); `start` brings it back with all its data, on the same port.

        After kill and start of `kube-apiserver` its watch cache is empty: a watch from an older
        resourceVersion is answered with 410 Gone.
        """
        self._processes.kill(component)

    def proxy(self) -> SeverableProxy:
        """A new proxy in front of the API server, to be closed after use; see `kubeconfig_for`."""
        return SeverableProxy(("127.0.0.1", self.port))

    def kubeconfig_for(self, proxy: SeverableProxy) -> Path:
        """A kubeconfig file of the administrator whose requests go through `proxy`."""
        return self._write(
            f"proxy-{proxy.port}.kubeconfig",
            credentials.kubeconfig(
                f"https://127.0.0.1:{proxy.port}", self.certificate, self._users[credentials.ADMIN].token
            ),
        )

    def kubeconfig_of_service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig file of a service account, bound by RBAC as in a cluster. The account has to exist."""
        answer = self.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        )
        text = credentials.kubeconfig(self.url, self.certificate, answer["status"]["token"], namespace)
        return self._write(f"{namespace}-{name}.kubeconfig", text)

    # Asking

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator and return its standard output.

        Raises RuntimeError with what it said when it fails.
        """
        result = subprocess.run(
            [str(self.directory / "kubectl"), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={
                "PATH": os.environ.get("PATH", ""),
                "KUBECONFIG": str(self.kubeconfig),
                "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
                "KUBERC": "off",
            },
        )
        if result.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {result.stderr.strip()}")
        return result.stdout

    def wait_until_established(self, crd: str, seconds: float = 60) -> None:
        """Wait until the API server serves the resource of a CustomResourceDefinition.

        kubectl fails at once, instead of waiting, while a new CRD has no conditions. A list fails with 429
        until the storage of an established CRD is ready.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.kubectl("wait", "--for=condition=Established", f"--timeout={seconds:.0f}s", f"crd/{crd}")
            except RuntimeError as error:
                if "accessor error" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                break
        plural, _, group = crd.partition(".")
        versions = self.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd}")
        for version in versions["spec"]["versions"]:
            if version["served"]:
                self.wait_for(partial(self._is_listed, f"/apis/{group}/{version['name']}/{plural}"), crd)

    def _is_listed(self, path: str) -> bool:
        try:
            self.request("GET", path)
        except ApiError as error:
            if error.status_code in (404, 429):
                return False
            raise
        return True

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Any:
        """One request as the administrator; returns the answer's JSON, None when there is none.

        Much quicker than kubectl. For a patch give `content_type`, as application/merge-patch+json. Raises
        ApiError when the server refuses.
        """
        connection = HTTPSConnection("127.0.0.1", self.port, context=self._tls, timeout=60)
        with contextlib.closing(connection):
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={
                    "Authorization": f"Bearer {self._users[credentials.ADMIN].token}",
                    "Accept": "application/json",
                    "Content-Type": content_type,
                },
            )
            response = connection.getresponse()
            text = response.read().decode()
        is_json = response.headers.get_content_type() == "application/json"
        if response.status >= 400:
            raise ApiError(response.status, json.loads(text)["message"] if is_json else text)
        return json.loads(text) if is_json else None

    def wait_for(
        self, condition: Callable[[], object], what: str, timeout_seconds: float = _START_DEADLINE_SECONDS
    ) -> None:
        """Return once `condition` gives something true; TimeoutError naming `what` after the deadline."""
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout_seconds:.0f} s for {what}; logs are in {self.directory}")
            time.sleep(_POLL_SECONDS)

    # Namespaces and nodes

    @contextlib.contextmanager
    def namespace(self) -> Iterator[str]:
        """A fresh namespace, ready for pods; it is deleted afterwards (without waiting for that)."""
        name = f"test-{uuid.uuid4().hex[:10]}"
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        self.wait_for(
            lambda: self.request("GET", f"/api/v1/namespaces/{name}/serviceaccounts")["items"],
            f"the default service account of namespace {name}",
        )
        try:
            yield name
        finally:
            with contextlib.suppress(ApiError, OSError, HTTPException):  # the test may have broken the server
                self.request("DELETE", f"/api/v1/namespaces/{name}")

    def ensure_nodes(self, count: int = 1) -> None:
        """See to it that there are at least `count` fake nodes that take pods (see `fake_nodes`)."""
        if not self._processes.is_running("kwok"):
            self._write("kwok.yaml", self._stages)
            self.start("kwok")
        present = {node["metadata"]["name"] for node in self.request("GET", "/api/v1/nodes")["items"]}
        for index in range(count):
            if fake_nodes.name_of(index) not in present:
                self.request("POST", "/api/v1/nodes", fake_nodes.node(index))
        self.wait_for(self._all_nodes_take_pods, f"{count} fake nodes to be ready")

    def _all_nodes_take_pods(self) -> bool:
        return not any(node["spec"].get("taints") for node in self.request("GET", "/api/v1/nodes")["items"])

    # The audit log

    def audit_mark(self) -> int:
        """The end of the audit log now; give it to `audit_events` to see only what came later."""
        self._flush_audit_log()
        return self._audit_log.stat().st_size

    def audit_events(self, since: int = 0) -> list[audit.AuditEvent]:
        """All requests since a mark, of every client, oldest first, up to the moment of this call."""
        self._flush_audit_log()
        with self._audit_log.open(encoding="utf-8") as log:
            log.seek(since)
            return [event for event in audit.parse_audit_log(log) if "audit-marker" not in event.uri]

    def _flush_audit_log(self) -> None:
        """Send a request and wait until it is in the log: what was answered before it then is too."""
        marker = f"/version?audit-marker={uuid.uuid4().hex}"
        before = self._audit_log.stat().st_size
        self.request("GET", marker)

        def logged() -> bool:
            with self._audit_log.open(encoding="utf-8") as log:
                log.seek(before)
                return marker in log.read()

        self.wait_for(logged, "the audit log")

    # Insides

    def _start_everything(self) -> None:
        self.start("etcd")
        self.start("kube-apiserver")
        self.start("kube-controller-manager")
        self.start("kube-scheduler")
        self.wait_for(self._default_service_account_exists, "kube-controller-manager to work")

    def _default_service_account_exists(self) -> bool:
        self._processes.raise_if_ended("kube-controller-manager")
        self._processes.raise_if_ended("kube-scheduler")
        return bool(self.request("GET", "/api/v1/namespaces/default/serviceaccounts")["items"])

    def _etcd_listens(self) -> bool:
        self._processes.raise_if_ended("etcd")
        return (self.directory / "etcd.sock").exists()

    def _is_ready(self) -> bool:
        self._processes.raise_if_ended("kube-apiserver")
        try:
            self.request("GET", "/readyz")
        except (ApiError, OSError, HTTPException):
            return False
        return True

    def _write(self, name: str, text: str) -> Path:
        """Write a file atomically: a concurrent reader finds either the old text or the new one."""
        path = self.directory / name
        unfinished = path.with_name(f"{name}.unfinished")
        unfinished.write_text(text, encoding="utf-8")
        return unfinished.replace(path)

    def _kubeconfig_of(self, user: str) -> Path:
        text = credentials.kubeconfig(self.url, self.certificate, self._users[user].token)
        return self._write(f"{user.replace(':', '-')}.kubeconfig", text)
