"""A real forward proxy: Debian's tinyproxy, with a user, and a log of what it has connected to."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from free_ports import free_port

_START_SECONDS = 30
USER, PASSWORD = "models", "open-sesame.1"


@dataclass(frozen=True)
class ForwardProxy:
    """The proxy, which listens on this machine only."""

    port: int
    log: Path

    def variables(self, *direct_hosts: str, password: str = PASSWORD) -> dict[str, str]:
        """The environment that the operator gives to the program."""
        return {
            "MODEL_PROXY": f"http://127.0.0.1:{self.port}",
            "MODEL_PROXY_USER": USER,
            "MODEL_PROXY_PASSWORD": password,
            "MODEL_PROXY_DIRECT_HOSTS": ",".join(direct_hosts),
        }

    def connections(self, host: str) -> int:
        """How often the proxy has connected to a host with a port, such as localhost:443."""
        return self.log.read_text().count(f'Established connection to host "{host}"')


def ensure_installed() -> str:
    """The path of tinyproxy; root installs it where it is missing."""
    if shutil.which("tinyproxy") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "tinyproxy-bin"]
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(install, check=True, capture_output=True)
    path = shutil.which("tinyproxy")
    assert path, "Downloads are tested through tinyproxy: apt-get install tinyproxy-bin"
    return path


@contextmanager
def forward_proxy(folder: Path) -> Iterator[ForwardProxy]:
    """Run the proxy with its files in `folder`."""
    proxy = ForwardProxy(free_port(), folder / "tinyproxy.log")
    proxy.log.touch()
    config = folder / "tinyproxy.conf"
    config.write_text(
        f'Port {proxy.port}\nListen 127.0.0.1\nAllow 127.0.0.1\nLogLevel Connect\nLogFile "{proxy.log}"\n'
        f"BasicAuth {USER} {PASSWORD}\nTimeout 60\n"
    )
    process = subprocess.Popen([ensure_installed(), "-d", "-c", str(config)], stdout=subprocess.DEVNULL)
    try:
        _wait(proxy.port)
        yield proxy
    finally:
        process.terminate()
        process.wait()


def _wait(port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"no proxy on port {port}")
