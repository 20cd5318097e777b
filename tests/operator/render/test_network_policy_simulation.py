"""What the NetworkPolicies let through, as cyclonus' simulation of a network plugin says.

https://github.com/mattfenwick/cyclonus, which is built from Go modules the first time. No network plugin that
enforces policies can be had on a laptop cluster made of package registries; this is the proof instead.
"""

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from imageclassifier_operator import api, render
from imageclassifier_operator.api import names

REPOSITORY = Path(__file__).parents[3]
SETTINGS = render.Installation(gateway_image="gateway:test", operator_namespace="imageclassifier-system")


@dataclass(frozen=True)
class Peer:
    """A pod, or, without a namespace, a host outside of the cluster."""

    ip: str
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        if not self.namespace:
            return {"IP": self.ip}
        return {
            "IP": self.ip,
            "Internal": {
                "PodLabels": dict(self.labels),
                "NamespaceLabels": {"kubernetes.io/metadata.name": self.namespace},
                "Namespace": self.namespace,
            },
        }


def pod(namespace: str, **labels: str) -> Peer:
    return Peer("10.244.0.9", namespace, tuple(labels.items()))


def ours(namespace: str, name: str, component: names.Component) -> Peer:
    version = None if component == "gateway" else 1
    return Peer("10.244.0.9", namespace, tuple(names.labels(name, component, version).items()))


GATEWAY, SERVING, VERIFY = (ours("food", "pizza", part) for part in ("gateway", "serving", "verify"))
OTHERS_GATEWAY = ours("food", "cats", "gateway")
NAMESAKE = ours("zoo", "pizza", "gateway")
STRANGER = pod("food", app="stranger")
OPERATOR = Peer("10.244.0.9", "imageclassifier-system", ((names.LABEL_NAME, names.MANAGER),))
IMPOSTOR = Peer("10.244.0.9", "food", OPERATOR.labels)
NEIGHBOUR = pod("imageclassifier-system", app="stranger")
PROMETHEUS = pod("monitoring", app="prometheus")
DNS = Peer("10.244.0.2", "kube-system", (("k8s-app", "kube-dns"),))
NODE_DNS = Peer("169.254.20.10")
CLIENT, PICTURES = Peer("198.41.0.4"), Peer("93.184.215.14")
PRIVATE, METADATA, SIX = Peer("192.168.1.5"), Peer("169.254.169.254"), Peer("2606:2800:21f::1")
PRIVATE_SIX = Peer("fd12:3456::1")

Case = tuple[str, Peer, Peer, int, bool]
ALWAYS: Sequence[Case] = (
    ("a client to the gateway", CLIENT, GATEWAY, 9696, True),
    ("a stranger's pod to the gateway", STRANGER, GATEWAY, 9696, True),
    ("the operator to a gateway's figures", OPERATOR, GATEWAY, 9697, True),
    ("a client to a gateway's figures", CLIENT, GATEWAY, 9697, False),
    ("a stranger's pod to a gateway's figures", STRANGER, GATEWAY, 9697, False),
    ("a pod labelled like the operator elsewhere to a gateway's figures", IMPOSTOR, GATEWAY, 9697, False),
    ("a pod beside the operator to a gateway's figures", NEIGHBOUR, GATEWAY, 9697, False),
    ("a model server to a gateway's figures", SERVING, GATEWAY, 9697, False),
    ("the gateway to its model servers", GATEWAY, SERVING, 8500, True),
    ("a verification to the model servers", VERIFY, SERVING, 8500, True),
    ("the gateway to another port of a model server", GATEWAY, SERVING, 22, False),
    ("a stranger's pod to a model server", STRANGER, SERVING, 8500, False),
    ("another classifier's gateway to a model server", OTHERS_GATEWAY, SERVING, 8500, False),
    ("a namesake's gateway in another namespace to a model server", NAMESAKE, SERVING, 8500, False),
    ("a client to a model server", CLIENT, SERVING, 8500, False),
    ("the operator to a model server", OPERATOR, SERVING, 8500, False),
    ("a model server to the internet", SERVING, PICTURES, 443, False),
    ("a model server to DNS", SERVING, DNS, 53, False),
    ("a model server to a stranger's pod", SERVING, STRANGER, 80, False),
    ("the gateway to DNS", GATEWAY, DNS, 53, True),
    ("the gateway to the node's DNS cache", GATEWAY, NODE_DNS, 53, True),
    ("a verification to DNS", VERIFY, DNS, 53, True),
    ("the gateway to a picture on the internet", GATEWAY, PICTURES, 443, True),
    ("the gateway to a picture on another port", GATEWAY, PICTURES, 8443, True),
    ("the gateway to a picture over IPv6", GATEWAY, SIX, 443, True),
    ("a verification to a picture on the internet", VERIFY, PICTURES, 443, True),
    ("the gateway to the cloud's credentials", GATEWAY, METADATA, 80, False),
    ("a verification to the cloud's credentials", VERIFY, METADATA, 80, False),
    ("anybody to a verification", STRANGER, VERIFY, 9696, False),
    ("Prometheus to a verification's progress", PROMETHEUS, VERIFY, 9697, False),
    ("Prometheus to a model server", PROMETHEUS, SERVING, 8500, False),
)


def private(*, allowed: bool) -> Sequence[Case]:
    return (
        ("the gateway to a host of a private network", GATEWAY, PRIVATE, 80, allowed),
        ("the gateway to a host of a private IPv6 network", GATEWAY, PRIVATE_SIX, 80, allowed),
        ("the gateway to another port of the DNS pods", GATEWAY, DNS, 9153, allowed),
        ("the gateway to a stranger's pod", GATEWAY, STRANGER, 80, allowed),
        ("a verification to a host of a private network", VERIFY, PRIVATE, 80, allowed),
    )


@pytest.fixture(scope="session")
def cyclonus() -> str:
    tool = [sys.executable, str(REPOSITORY / "kind/tool.py"), "cyclonus-binary"]
    return subprocess.run(tool, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("allow_private_networks", "prometheus_namespace"), [(False, None), (True, None), (False, "monitoring")]
)
def test_only_this_traffic_is_let_through(
    cyclonus: str, tmp_path: Path, allow_private_networks: bool, prometheus_namespace: str | None
) -> None:
    scrape = (
        "Prometheus to a gateway's figures",
        PROMETHEUS,
        GATEWAY,
        9697,
        prometheus_namespace is not None,
    )
    cases = [*ALWAYS, *private(allowed=allow_private_networks), scrape]
    settings = dataclasses.replace(SETTINGS, prometheus_namespace=prometheus_namespace)
    urls = {"allowPrivateNetworks": allow_private_networks}
    policies = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicyList",
        "items": [
            policy
            for name, namespace in (("pizza", "food"), ("cats", "food"), ("pizza", "zoo"))
            for policy in policies_of(name, namespace, urls, settings)
        ],
    }
    traffic = [
        {
            "Source": source.to_json(),
            "Destination": destination.to_json(),
            "ResolvedPort": port,
            "ResolvedPortName": "",
            "Protocol": "TCP",
        }
        for _, source, destination, port, _ in cases
    ]
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/all.yaml").write_text(yaml.safe_dump(policies), encoding="utf-8")
    (tmp_path / "traffic.json").write_text(json.dumps(traffic), encoding="utf-8")
    command = [cyclonus, "analyze", "--mode=query-traffic", f"--policy-path={tmp_path / 'policies'}"]
    said = subprocess.run(
        [*command, f"--traffic-path={tmp_path / 'traffic.json'}"], capture_output=True, text=True, check=True
    ).stdout
    let_through = [word == "TRUE" for word in re.findall(r"IS ALLOWED\?\s*\|\s*(TRUE|FALSE)\b", said)]
    assert dict(zip((case[0] for case in cases), let_through, strict=True)) == {
        case[0]: case[4] for case in cases
    }


def policies_of(
    name: str, namespace: str, urls: dict[str, bool], settings: render.Installation
) -> list[dict[str, Any]]:
    body = {"model": {"version": 1, "source": {"image": {"reference": "model:1"}}}, "gateway": {"urls": urls}}
    ic = api.parse({"metadata": {"name": name, "namespace": namespace, "uid": "u"}, "spec": body})
    children = render.shared_children(ic, settings)
    return [child for child in children if child["kind"] == "NetworkPolicy"]
