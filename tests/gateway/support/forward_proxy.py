"""A real forward proxy: Debian's tinyproxy, with a user, and a log of what it has connected to."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from free_ports import free_port
from waiting import wait_until

from laptop import apt

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


def tinyproxy() -> str:
    """The path of tinyproxy: the installed one, else that of Debian's package."""
    if found := shutil.which("tinyproxy"):
        return found
    return str(apt.ensure_unpacked("tinyproxy-bin", "install tinyproxy") / "usr/bin/tinyproxy")


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
    process = subprocess.Popen([tinyproxy(), "-d", "-c", str(config)], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _accepts(proxy.port), "the forward proxy", _START_SECONDS)
        yield proxy
    finally:
        process.terminate()
        process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
