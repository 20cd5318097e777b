"""The second cluster, with two workers: `make workers-test` brings it up, runs this, and takes it away."""

from typing import Any

import pytest

pytestmark = pytest.mark.workers

ECHO_ADDRESS = """
import http.server
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
http.server.HTTPServer(("", 8000), Echo).serve_forever()
"""
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode())"


def test_pods_on_different_workers_meet_under_their_own_addresses(
    workers_kubectl: Any, workers_image: str
) -> None:
    nodes = [node["metadata"]["name"] for node in workers_kubectl.get("nodes")["items"]]
    workers = [name for name in nodes if "control-plane" not in name]
    assert len(workers) == 2
    for name, node, code in (
        ("server", workers[0], ECHO_ADDRESS),
        ("client", workers[1], "import time; time.sleep(600)"),
    ):
        main: dict[str, Any] = {
            "name": "main",
            "image": workers_image,
            "imagePullPolicy": "Never",
            "command": ["python3", "-c", code],
        }
        if name == "server":
            main["readinessProbe"] = {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1}
        spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [main]}
        workers_kubectl("delete", "pod", name, "--ignore-not-found")
        workers_kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    workers_kubectl("wait", "--for=condition=Ready", "pod/server", "pod/client", "--timeout=90s")
    address = {name: workers_kubectl.get("pod", name)["status"]["podIP"] for name in ("server", "client")}

    seen = workers_kubectl("exec", "client", "--", "python3", "-c", ASK, f"http://{address['server']}:8000/")

    assert seen.strip() == address["client"]
