"""kube-score has no objection to the installation and to the children, except for checks that do not fit."""

import json
from pathlib import Path

import pytest

from install_checkers import CHART, INSTALL, documents, helm, kube_score
from rendered import SPECS, all_children

#: Checks that do not fit any of our pods, with the reason.
IGNORED = {
    "container-image-pull-policy": "It wants Always. A release never changes the image behind a tag, and "
    "a pod must be able to start while the registry is down.",
    "container-ephemeral-storage-request-and-limit": "The root filesystem is read-only, and the volumes hold "
    "models of unknown sizes. A limit would evict the pods. Users set one in `resources`.",
    "deployment-has-host-podantiaffinity": "Topology spread constraints keep the pods apart, also in zones.",
}
OPERATOR_IGNORED = {
    "pod-networkpolicy": "The addresses of the API server and of Prometheus differ between clusters.",
}
#: Checks that fail because a spec says so.
_ONE_REPLICA = {"deployment-replicas": "The default of spec.replicas is 1."}
ASKED_FOR = {
    **dict.fromkeys(("smallest", "volume", "proxy", "load balancer"), _ONE_REPLICA),
    "templates": {
        **_ONE_REPLICA,
        "container-security-context-user-group-id": "Its template has user 1000.",
    },
    "everything": {
        "service-type": "It wants a NodePort.",
        "container-resources": "It has only limits for gateways, which are then the requests too.",
        "horizontalpodautoscaler-has-target": "It scales the ImageClassifier, a kind unknown to kube-score.",
    },
}


def text_of(way: str, home: Path) -> str:
    """The objects of the installation as YAML."""
    if way.endswith(".yaml"):
        return (INSTALL / way).read_text(encoding="utf-8")
    return helm(home, "template", "x", str(CHART), f"--set=scope={way}", "--namespace=operators")


@pytest.mark.parametrize("way", ["install.yaml", "install-one-namespace.yaml", "cluster", "namespace"])
def test_kube_score_has_no_objection_to_the_installation(way: str, tmp_path: Path) -> None:
    objections = kube_score(documents(text_of(way, tmp_path)))
    assert set(objections) == {*IGNORED, *OPERATOR_IGNORED}, objections


@pytest.mark.parametrize("title", SPECS)
def test_kube_score_has_no_objection_to_the_children_of_an_imageclassifier(title: str) -> None:
    objections = kube_score(all_children(SPECS[title]).values())
    assert set(objections) == {*IGNORED, *ASKED_FOR[title]}, objections


def test_kube_score_objects_to_a_container_that_may_write_into_its_image() -> None:
    children = all_children(SPECS["smallest"])
    deployment = json.loads(json.dumps(children["Deployment", "pizza-gateway"]))
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    del container["securityContext"]["readOnlyRootFilesystem"]
    check = "container-security-context-readonlyrootfilesystem"
    assert check in kube_score([*children.values(), deployment])
