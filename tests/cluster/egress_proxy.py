"""A proxy (tinyproxy) on the cluster, and a site behind it with a certificate of a private authority."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from private_authority import PrivateAuthority

from cluster_server import ensure_image, running_pod
from cluster_testbed import Kubectl
from forward_proxy import tinyproxy

SITE = "pictures.example.org"
"""Only the pod of the proxy can resolve this name."""
PORT = 3128
USER, PASSWORD = "pictures", "open-sesame.1"
_NAME = "proxy"
_CONFIG = f"Port {PORT}\nLogLevel Connect\nBasicAuth {USER} {PASSWORD}\nTimeout 60\n"
_SERVE = """\
import functools, http.server, ssl
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/files")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/files/tls.crt", "/files/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class EgressProxy:
    """The proxy, in the namespace of `kubectl`, and the certificate of the authority of the site."""

    kubectl: Kubectl
    ca: str

    @property
    def host(self) -> str:
        """The name of its Service for pods of any namespace."""
        return f"{_NAME}.{self.kubectl.namespace}.svc"

    def connections(self) -> int:
        """How often it has connected to the site."""
        log = self.kubectl("logs", _NAME, f"--container={_NAME}")
        return log.count(f'Established connection to host "{SITE}"')


@contextmanager
def egress_proxy(
    cluster_kubectl: Kubectl, namespace: str, folder: Path, files: Mapping[str, bytes]
) -> Iterator[EgressProxy]:
    """Run the proxy in a new namespace, which is deleted afterwards; the site has these files."""
    authority = PrivateAuthority(folder)
    chain, key = authority.certificate_for(SITE)
    served = {**files, "tls.crt": chain.read_bytes(), "tls.key": key.read_bytes()}
    data = {name: base64.b64encode(content).decode() for name, content in served.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _NAME}, "data": data}
    spec = _pod_spec(ensure_image(Path(tinyproxy())))
    with running_pod(cluster_kubectl, namespace, _NAME, PORT, spec, secret) as kubectl:
        yield EgressProxy(kubectl, authority.ca_file.read_text())


def _pod_spec(image: str) -> dict[str, Any]:
    run = f"printf '{_CONFIG}' >/tmp/tinyproxy.conf && exec tinyproxy -d -c /tmp/tinyproxy.conf"
    proxy = {
        "name": _NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", run.replace("\n", "\\n")],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }
    site = {
        "name": "site",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", _SERVE],
        "securityContext": {"runAsUser": 0},  # for port 443
        "volumeMounts": [{"name": "files", "mountPath": "/files"}],
    }
    return {
        "containers": [proxy, site],
        "hostAliases": [{"ip": "127.0.0.1", "hostnames": [SITE]}],
        "volumes": [{"name": "files", "secret": {"secretName": _NAME}}],
    }
