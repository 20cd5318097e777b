"""kubectl: which cluster and namespace are meant, and a way to the API server.

Only kubectl reads the kubeconfig. So certificates, tokens, sign-in plugins and proxies work exactly as they
do for kubectl itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import ClientError

_LOG_LINE = re.compile(r"[IWEF]\d{4} ")
"""How log lines of Kubernetes begin: the severity, the month and the day."""
_NAMESPACE_OF_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Place:
    """What the kubeconfig says: the context, the API server and the namespace."""

    context: str
    server: str
    namespace: str


class Messages:
    """What a running kubectl prints to stderr, which must be read, or kubectl would stop.

    Sign-in plugins print there what the user has to do, so that is shown; kubectl's own log lines are not.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._stream = _pipe(process.stderr)
        self._last: deque[str] = deque(maxlen=20)
        self._is_shown = False
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Messages:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.join(1)  # a sign-in plugin may keep the stream open

    def show_from_now(self) -> None:
        """Show lines that are not of kubectl's log."""
        self._is_shown = True

    def all(self) -> str:
        """The last lines, once kubectl has ended."""
        self._reader.join()
        return "".join(self._last)

    def _read(self) -> None:
        for line in self._stream:
            self._last.append(line)
            if self._is_shown and not _LOG_LINE.match(line):
                sys.stderr.write(line)


@dataclass(frozen=True)
class Forward:
    """A local port that kubectl forwards."""

    port: int
    _process: subprocess.Popen[str]

    def wait(self) -> None:
        """Return when kubectl ends. Its line for each connection is read, or kubectl would stop."""
        for _ in _pipe(self._process.stdout):
            pass


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the options `--context` and `--kubeconfig` of the command line, if they are set."""

    program: str = "kubectl"
    context: str | None = None
    kubeconfig: str | None = None

    def command(self, *arguments: str) -> list[str]:
        """The command line of a run of kubectl."""
        options = {"--context": self.context, "--kubeconfig": self.kubeconfig}
        return [self.program, *arguments, *(f"{name}={value}" for name, value in options.items() if value)]

    def place(self) -> Place:
        """Read the context, the server and the namespace from the kubeconfig."""
        with self._start("config", "view", "--minify", "--output=json") as process:
            output, complaint = process.communicate()
        if process.returncode:
            if _NAMESPACE_OF_POD.is_file() and not (self.context or self.kubeconfig):
                return Place("", "the cluster of this pod", _NAMESPACE_OF_POD.read_text("utf-8").strip())
            raise ClientError(_no_cluster(complaint))
        return _place(json.loads(output))

    def contexts(self) -> list[str]:
        """The names of all contexts of the kubeconfig."""
        with self._start("config", "get-contexts", "--output=name") as process:
            output, _ = process.communicate()
        return output.split()

    @contextlib.contextmanager
    def api_server(self) -> Iterator[Path]:
        """Yield a socket behind which kubectl forwards HTTP requests to the API server.

        The socket lies in a directory that only this user can enter: its requests have the user's rights.
        """
        with (
            tempfile.TemporaryDirectory(prefix="imageclassifier-") as directory,
            self._running("proxy", f"--unix-socket={directory}/api", "--append-server-path"),
        ):
            yield Path(directory) / "api"

    @contextlib.contextmanager
    def forward(self, namespace: str, target: str, ports: str) -> Iterator[Forward]:
        """Forward a local port to a port of `target`, and yield it. `ports`: `8080:http` or `:http`."""
        with self._running("port-forward", f"--namespace={namespace}", target, ports) as (process, line):
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found is None:
                raise ClientError(f"kubectl port-forward to {target} did not name its port.")
            yield Forward(int(found[1]), process)

    @contextlib.contextmanager
    def _running(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """Run kubectl, and yield it with its first line when it has printed that."""
        with self._start(*arguments) as process, Messages(process) as messages:
            try:
                line = _pipe(process.stdout).readline()
                if not line:
                    raise ClientError(_sentence(messages.all()) or "kubectl ended without a message.")
                messages.show_from_now()
                yield process, line
            finally:
                process.terminate()

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                self.command(*arguments),
                # A sign-in plugin of kubectl may ask the user.
                stdin=None if sys.stdin is not None and sys.stdin.isatty() else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise ClientError(
                f"{self.program} cannot be run: {error.strerror}. Install kubectl, or set KUBECTL to its "
                f"path."
            ) from None


def from_environment(environment: Mapping[str, str], context: str | None, kubeconfig: str | None) -> Kubectl:
    """Kubectl as the environment variable KUBECTL names it."""
    return Kubectl(environment.get("KUBECTL") or "kubectl", context, kubeconfig)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def _place(view: Mapping[str, Any]) -> Place:
    context: Mapping[str, Any] = next(iter(view.get("contexts") or ()), {})
    cluster: Mapping[str, Any] = next(iter(view.get("clusters") or ()), {})
    return Place(
        context.get("name", ""),
        cluster.get("cluster", {}).get("server", ""),
        context.get("context", {}).get("namespace") or "default",
    )


def _no_cluster(complaint: str) -> str:
    sentence = _sentence(complaint)
    if "current-context must exist" in sentence:
        where = os.environ.get("KUBECONFIG") or "~/.kube/config"
        return (
            f"No cluster is chosen: {where} has no current context. Choose one with `kubectl config "
            f"use-context NAME` or --context, or name another file with --kubeconfig or KUBECONFIG."
        )
    return f"The kubeconfig cannot be used: {sentence}"


def _sentence(complaint: str) -> str:
    """The last line of what kubectl printed, without its prefix, as a sentence."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    text = re.sub(r"^(error|Error from server[^:]*|Unable to [^:]*): ", "", lines[-1]) if lines else ""
    return f"{text}." if text and not text.endswith(".") else text
