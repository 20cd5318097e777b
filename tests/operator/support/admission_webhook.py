"""An admission webhook that rewrites the Deployments of a namespace, as policy engines and clouds do."""

import base64
import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MIRROR = "mirror.example.org/"
CPU = "750m"


def mirrored(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON patch that takes images from a mirror (Kyverno) and sets the CPU request (Autopilot)."""
    changes: list[dict[str, Any]] = []
    pod = deployment["spec"]["template"]["spec"]
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(pod.get(kind, ())):
            path = f"/spec/template/spec/{kind}/{index}"
            if not container["image"].startswith(MIRROR):
                image = f"{MIRROR}{container['image']}"
                changes.append({"op": "replace", "path": f"{path}/image", "value": image})
            resources = container.get("resources", {})
            requests = {**resources.get("requests", {}), "cpu": CPU}
            value = {**resources, "requests": requests}
            if value != resources:
                changes.append({"op": "add", "path": f"{path}/resources", "value": value})
    return changes


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        patch = base64.b64encode(json.dumps(mirrored(request["object"])).encode()).decode()
        response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        body = json.dumps({**review, "request": None, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The test's output stays readable."""


@contextlib.contextmanager
def rewriting_webhook(apiserver: Any, namespace: str, folder: Path) -> Iterator[None]:
    """While this runs, the API server sends the Deployments of `namespace` through the webhook."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=webhook",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    webhook = {
        "name": "mirror.example.org",
        "clientConfig": {
            "url": f"https://127.0.0.1:{server.server_address[1]}/",
            "caBundle": base64.b64encode((folder / "cert.pem").read_bytes()).decode(),
        },
        "rules": [
            {
                "apiGroups": ["apps"],
                "apiVersions": ["v1"],
                "resources": ["deployments"],
                "operations": ["CREATE", "UPDATE"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    apiserver.request("POST", path, {"metadata": {"name": namespace}, "webhooks": [webhook]})
    try:
        yield
    finally:
        apiserver.request("DELETE", f"{path}/{namespace}")
        server.shutdown()
        server.server_close()
