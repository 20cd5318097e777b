"""The default requests fit on a laptop's node."""

from pathlib import Path
from typing import Any

import yaml

from imageclassifier_operator.api.quantity import cores
from rendered import SPECS, all_children

OPERATOR = Path(__file__).parents[3] / "operator/install/sources/deployment.yaml"
NODE_CORES = 2
# kube-apiserver, kube-controller-manager, kube-scheduler, etcd, two CoreDNS and kindnet, as kubeadm and Kind
# set them up.
KUBE_SYSTEM_CORES = 0.25 + 0.2 + 0.1 + 0.1 + 2 * 0.1 + 0.1


def requested_cores(pod: dict[str, Any]) -> float:
    """What the scheduler counts: the sum of the containers, or the largest init container if that is more."""

    def requested(kind: str) -> list[float]:
        return [cores(container["resources"]["requests"]["cpu"]) for container in pod.get(kind, ())]

    return max([*requested("initContainers"), sum(requested("containers"))])


def test_three_versions_and_a_second_classifier_fit_beside_kubernetes_on_two_cores() -> None:
    of_component = {
        child["metadata"]["labels"]["app.kubernetes.io/component"]: (
            requested_cores(child["spec"]["template"]["spec"]),
            child["spec"].get("replicas", 1),
        )
        for (kind, _), child in all_children(SPECS["smallest"]).items()
        if kind in {"Deployment", "Job"}
    }
    documents = yaml.safe_load_all(OPERATOR.read_text("utf-8"))
    [operator] = (body["spec"] for body in documents if body["kind"] == "Deployment")
    operators = requested_cores(operator["template"]["spec"]) * operator["replicas"]
    (server, _), (gateway, gateways), (verify, _) = (
        of_component[component] for component in ("serving", "gateway", "verify")
    )
    pizza = 3 * server + (gateways + 1) * gateway + verify  # while the gateways are replaced as well
    second = server + gateways * gateway
    assert KUBE_SYSTEM_CORES + operators + pizza + second < NODE_CORES
