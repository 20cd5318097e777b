"""Traefik as the controller of the Gateway API: it takes the operator's HTTPRoute, and a gateway answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
import yaml
from free_ports import free_port
from private_address import private_address
from private_authority import PrivateAuthority

from bare_apiserver import ControlPlane
from bare_apiserver.programs import find_programs
from fake_model import FakeModel
from gateway_process import GatewayProcess
from gateway_testbed import picture, routing
from key_secret import KeySecret
from operator_process import Bench, PlayedGateways, RunningOperator, install_crd
from traefik import CONTROLLER, crds, traefik

pytestmark = pytest.mark.apiserver

API = "/apis/gateway.networking.k8s.io/v1"
ROUTES = f"{API}/namespaces/{{}}/httproutes"
HOST = "pizza.example.org"
ROLLED_OUT = r"Version 1 is fully rolled out\."
INSTALL_PAGE = Path(__file__).parents[2] / "docs/install.md"
LARGEST_BYTES = 20 * 1024 * 1024
"""The default of spec.gateway.maxImageBytes."""


def of_kind(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """An object of the Gateway API."""
    api_version = API.removeprefix("/apis/")
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True)
class World:
    """An API server with the Gateway `web` of Traefik, and a classifier with an HTTPRoute for HOST."""

    bench: Bench
    port: int

    def create(self, path: str, body: dict[str, Any]) -> None:
        self.bench.apiserver.request("POST", path.format(self.bench.namespace), body)

    def create_route(self, name: str, host: str, spec: dict[str, Any]) -> None:
        """Create an HTTPRoute for another host, and wait until Traefik routes it."""
        self.create(ROUTES, of_kind("HTTPRoute", name, {**spec, "hostnames": [host]}))
        self.wait_routed(host, "/")

    def get(self, host: str, path: str) -> requests.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.get(url, headers={"Host": host}, timeout=60, allow_redirects=False)

    def predict(self, host: str, path: str, body: bytes) -> requests.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.post(url, body, headers={"Host": host}, timeout=60)

    def wait_routed(self, host: str, path: str) -> None:
        """Wait until Traefik, which answers 404 to everything else, routes this path."""
        self.bench.wait(lambda: self.get(host, path).status_code != 404, f"Traefik to route {host}{path}")

    def wait_message(self, pattern: str) -> None:
        """Wait until the whole message of Ready matches."""
        self.bench.wait(
            lambda: re.fullmatch(pattern, self.bench.condition("Ready").get("message", "")), pattern
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, port = tmp_path_factory.mktemp("traefik"), free_port()
    with ControlPlane(find_programs()) as apiserver, apiserver.namespace() as namespace:
        apiserver.ensure_nodes(1)
        install_crd(apiserver)
        apiserver.kubectl("apply", "--server-side", "-f", str(crds()))
        apiserver.wait_until_established("httproutes.gateway.networking.k8s.io")
        gateways = PlayedGateways(apiserver)
        with traefik(folder, apiserver.kubeconfig, port), RunningOperator(apiserver.kubeconfig, gateways):
            bench = Bench(apiserver, namespace, gateways)
            bench.create(1, gateway={"httpRoute": {"parentRefs": [{"name": "web"}], "hostnames": [HOST]}})
            bench.verify(1)
            world = World(bench, port)
            world.wait_message(".*No Gateway has taken HTTPRoute pizza-gateway yet.*")
            world.create(f"{API}/gatewayclasses", a_class())
            world.create(f"{API}/namespaces/{{}}/gateways", a_gateway(port))
            world.wait_message(ROLLED_OUT)
            yield world


def a_class() -> dict[str, Any]:
    return of_kind("GatewayClass", "traefik", {"controllerName": CONTROLLER})


def a_gateway(port: int) -> dict[str, Any]:
    listener = {"name": "web", "protocol": "HTTP", "port": port, "hostname": "*.example.org"}
    return of_kind("Gateway", "web", {"gatewayClassName": "traefik", "listeners": [listener]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateways")


@pytest.fixture(scope="module")
def process(folder: Path) -> Iterator[GatewayProcess]:
    model = FakeModel().start()
    process = GatewayProcess(folder)
    yield process.start_ready(routing(model))
    process.stop()
    model.stop()


def stand_in(world: World, name: str, port: int, service_port: dict[str, Any]) -> None:
    """A Service with the endpoint of a real gateway: the pods of the operator's Service run no process."""
    service = {"type": "ClusterIP", "ports": [service_port]}
    world.create("/api/v1/namespaces/{}/services", {"metadata": {"name": name}, "spec": service})
    world.create(
        "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
        {
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [private_address()], "conditions": {"ready": True}}],
            "ports": [{"name": service_port["name"], "port": port, "protocol": "TCP"}],
        },
    )


@pytest.fixture(scope="module")
def copied(world: World, process: GatewayProcess) -> str:
    """The host of a copy of the operator's HTTPRoute, which leads to a real gateway."""
    host = "copy.example.org"
    operators = world.bench.get("/api/v1/namespaces/{}/services/pizza-gateway")["spec"]["ports"][0]
    port = {key: value for key, value in operators.items() if key != "nodePort"}
    stand_in(world, "copy", process.port, port)
    spec = world.bench.get(f"{ROUTES}/pizza-gateway")["spec"]
    spec["rules"][0]["backendRefs"][0]["name"] = "copy"
    world.create_route("copy", host, spec)
    return host


def test_the_status_of_the_route_is_in_ready(world: World) -> None:
    [parent] = world.bench.get(f"{ROUTES}/pizza-gateway")["status"]["parents"]
    assert parent["controllerName"] == CONTROLLER
    for host, message in (
        (
            "pizza.example.com",
            r".*Gateway web does not route to HTTPRoute pizza-gateway \(NoMatchingListenerHostname\).*",
        ),
        (HOST, ROLLED_OUT),
    ):
        world.bench.patch({"spec": {"gateway": {"httpRoute": {"hostnames": [host]}}}})
        world.wait_message(message)


def test_a_picture_gets_the_answer_of_the_gateway(world: World, copied: str) -> None:
    answer = world.predict(copied, "/predict", picture())
    assert (answer.status_code, answer.json()["prediction"]) == (200, "It's a pizza!")
    assert world.predict(copied, "/predict", picture().ljust(LARGEST_BYTES, b"\0")).status_code == 200
    assert world.predict("other.example.org", "/predict", picture()).status_code == 404


def test_behind_a_path_prefix_page_api_and_problems_work(world: World, copied: str) -> None:
    text = INSTALL_PAGE.read_text(encoding="utf-8")
    [block] = [part for part in text.split("```yaml\n") if "pathPrefix:" in part.partition("```")[0]]
    documented = yaml.safe_load(block.partition("```")[0])["spec"]["gateway"]["httpRoute"]
    world.bench.patch({"spec": {"gateway": {"httpRoute": documented}}})
    world.bench.wait(
        lambda: len(world.bench.get(f"{ROUTES}/pizza-gateway")["spec"]["rules"]) == 2, "the path prefix"
    )
    [host] = documented["hostnames"]
    world.wait_message(ROLLED_OUT)
    assert world.bench.status()["url"] == f"http://{host}/pizza/"
    spec = world.bench.get(f"{ROUTES}/pizza-gateway")["spec"]
    spec["rules"][1]["backendRefs"][0]["name"] = "copy"
    # The Gateway prefers the older of two routes for the same path, which leads to pods that run nothing.
    world.bench.patch(
        {"spec": {"gateway": {"httpRoute": {"hostnames": [HOST], "pathPrefix": None, "filters": None}}}}
    )
    world.create(ROUTES, of_kind("HTTPRoute", "below", {**spec, "hostnames": [host]}))
    world.wait_routed(host, "/pizza/")

    to_the_page = world.get(host, "/pizza")
    assert to_the_page.status_code == 302
    assert to_the_page.headers["location"].endswith("/pizza/")
    assert 'src="page.js"' in world.get(host, "/pizza/").text
    assert world.get(host, "/pizza/page.js").headers["content-type"].startswith("text/javascript")
    assert world.predict(host, "/pizza/predict", picture()).json()["prediction"] == "It's a pizza!"
    problem = world.predict(host, "/pizza/predict", b"no picture")
    assert problem.json()["type"].startswith("tag:imageclassifier.dev,2026:")
    link = problem.headers["link"].partition(";")[0].strip("<>")
    explained = urljoin("/pizza/predict", link)
    assert explained.startswith("/pizza/problems#")
    assert f'id="{explained.partition("#")[2]}"' in world.get(host, explained.partition("#")[0]).text
    assert world.get(host, "/pizza/").headers["x-team"] == "food"
    assert world.get(host, "/pizzas").status_code == 404


def test_a_gateway_with_a_certificate_is_reached_with_a_backend_tls_policy(
    world: World, copied: str, folder: Path
) -> None:
    name, host = "pizza-gateway.default.svc", "tls.example.org"
    (folder / "authority").mkdir()
    authority = PrivateAuthority(folder / "authority")
    chain, key = authority.certificate_for(name)
    secret = KeySecret(folder / "tls", **{"tls.crt": chain.read_text(), "tls.key": key.read_text()})
    model = FakeModel().start()
    (folder / "https").mkdir()
    process = GatewayProcess(folder / "https", GATEWAY_TLS_DIRECTORY=str(secret.folder))
    try:
        process.start_ready(routing(model))
        stand_in(world, "tls", process.port, {"name": "https", "port": 443, "appProtocol": "https"})
        spec = world.bench.get(f"{ROUTES}/copy")["spec"]
        spec["rules"][0]["backendRefs"] = [{"name": "tls", "port": 443}]
        world.create_route("tls", host, spec)
        assert world.predict(host, "/predict", picture()).status_code >= 500

        data = {"ca.crt": authority.ca_file.read_text()}
        world.create("/api/v1/namespaces/{}/configmaps", {"metadata": {"name": "ca"}, "data": data})
        validation = {
            "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}],
            "hostname": name,
        }
        policy = {"targetRefs": [{"group": "", "kind": "Service", "name": "tls"}], "validation": validation}
        policies = f"{API}/namespaces/{{}}/backendtlspolicies"
        world.create(policies, of_kind("BackendTLSPolicy", "tls", policy))
        world.bench.wait(lambda: world.get(host, "/").status_code == 200, "the policy to take effect")
        assert world.predict(host, "/predict", picture()).json()["prediction"] == "It's a pizza!"
    finally:
        process.stop()
        model.stop()
