"""An admission webhook that rewrites the objects of a namespace, as policy engines, meshes and clouds do."""

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from private_authority import PrivateAuthority

Mutation = Callable[[dict[str, Any]], list[dict[str, Any]]]
"""From an object to the JSON patch that the webhook answers with."""

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


LABEL, ANNOTATION = "example.org/cost-centre", "example.org/checked"
TOLERATION = {"key": "example.org/spot", "operator": "Exists"}
VARIABLE = {"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"}
SIDECAR = "mesh-proxy"


def decorated(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON patch that adds what a pod, or an object with a template of pods, does not have yet.

    It adds a label, an annotation, a toleration, a variable to each container, and a sidecar with an init
    container.
    """
    changes: list[dict[str, Any]] = []
    metadata_paths, spec, path = ["/metadata"], body["spec"], "/spec"
    metadata = {"/metadata": body["metadata"]}
    if "template" in spec:
        path = "/spec/template/spec"
        metadata_paths.append("/spec/template/metadata")
        metadata["/spec/template/metadata"] = spec["template"].get("metadata", {})
        spec = spec["template"]["spec"]
    for where in metadata_paths:
        for field, key in (("labels", LABEL), ("annotations", ANNOTATION)):
            present = metadata[where].get(field) or {}
            if key not in present:
                changes.append({"op": "add", "path": f"{where}/{field}", "value": {**present, key: "yes"}})
    lists = {
        "tolerations": [TOLERATION],
        "containers": [{"name": SIDECAR, "image": "mesh:1"}],
        "initContainers": [{"name": f"{SIDECAR}-init", "image": "mesh:1"}],
    }
    for field, added in lists.items():
        present = spec.get(field) or []
        if field != "tolerations":
            present = [_with_variable(container) for container in present]
            added = [each for each in added if each["name"] not in {one["name"] for one in present}]
        new = [*present, *(each for each in added if each not in present)]
        if new != spec.get(field):
            changes.append({"op": "add", "path": f"{path}/{field}", "value": new})
    return changes


def _with_variable(container: dict[str, Any]) -> dict[str, Any]:
    present = container.get("env") or []
    if container["name"].startswith(SIDECAR) or VARIABLE["name"] in {each["name"] for each in present}:
        return container
    return {**container, "env": [*present, VARIABLE]}


class _Handler(BaseHTTPRequestHandler):
    mutate: Mutation

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        patch = base64.b64encode(json.dumps(self.__class__.mutate(request["object"])).encode()).decode()
        response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        body = json.dumps({**review, "request": None, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The test's output stays readable."""


DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
JOBS = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"]}
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


@contextlib.contextmanager
def rewriting_webhook(
    apiserver: Any, namespace: str, folder: Path, mutate: Mutation, *resources: dict[str, list[str]]
) -> Iterator[None]:
    """While this runs, the API server sends objects of these resources in `namespace` through the webhook."""
    authority = PrivateAuthority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate_for("127.0.0.1"))
    handler = type("Handler", (_Handler,), {"mutate": staticmethod(mutate)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    webhook = {
        "name": "policy.example.org",
        "clientConfig": {
            "url": f"https://127.0.0.1:{server.server_address[1]}/",
            "caBundle": base64.b64encode(authority.ca_file.read_bytes()).decode(),
        },
        "rules": [{**resource, "operations": ["CREATE", "UPDATE"]} for resource in resources],
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
