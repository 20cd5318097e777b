"""`batch` and `batches` on a real API server: what is created, what is refused, and how far Jobs are."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from client_program import Client
from imageclassifier_client.report.batches import Batch, GatewayFacts, Place, job
from imageclassifier_gateway.batch.__main__ import _parser
from operator_process import CLASSIFIERS

EXAMPLE = Path(__file__).parents[2] / "examples/batch.yaml"
BODY = {
    "apiVersion": "imageclassifier.dev/v1alpha1",
    "kind": "ImageClassifier",
    "metadata": {"name": "pizza"},
    "spec": {
        "model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}},
        "gateway": {"tls": {"secretName": "pizza-tls"}},
    },
}
POD = {
    "nodeSelector": {"disk": "fast"},
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532},
    "containers": [
        {
            "name": "gateway",
            "image": "registry.example.org/imageclassifier/gateway:1.2.3",
            "securityContext": {"allowPrivilegeEscalation": False},
        }
    ],
}


@pytest.fixture
def pizza(apiserver: Any, namespace: str, client: Client) -> str:
    """The namespace of a classifier with a gateway, and of a claim `photographs`."""
    apiserver.request("POST", CLASSIFIERS.format(namespace), BODY)
    labels = {"app": "gateway"}
    deployment = {
        "metadata": {"name": "pizza-gateway"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": POD},
        },
    }
    service = {
        "metadata": {"name": "pizza-gateway"},
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 9696}], "selector": labels},
    }
    claim = {
        "metadata": {"name": "photographs"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    apiserver.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment)
    apiserver.request("POST", f"/api/v1/namespaces/{namespace}/services", service)
    apiserver.request("POST", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", claim)
    return namespace


MERGE = "application/merge-patch+json"
WHERE = ("--pictures", "photographs/2026", "--results", "photographs/results/2026.jsonl")


@pytest.mark.apiserver
def test_a_batch_is_a_job_that_runs_the_image_of_the_gateway(
    apiserver: Any, client: Client, pizza: str
) -> None:
    result = client("batch", "pizza", *WHERE, "--job", "first", "--concurrency", "4", "-n", pizza)
    assert (result.code, result.err) == (0, "")
    assert "Created the Job first." in result.text
    body = apiserver.request("GET", f"/apis/batch/v1/namespaces/{pizza}/jobs/first")
    pod = body["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == "registry.example.org/imageclassifier/gateway:1.2.3"
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["fsGroup"] == 65532
    given = _parser().parse_args(container["args"])
    assert given.gateway == f"https://pizza-gateway.{pizza}.svc:443"
    assert (given.pictures, str(given.results)) == ("/pictures/2026", "/results/results/2026.jsonl")
    assert given.concurrency == 4
    mounts = {each["mountPath"]: (each["name"], each.get("readOnly")) for each in container["volumeMounts"]}
    # One claim is one volume: with two of them the kubelet never starts the pod.
    assert mounts["/pictures"] == ("results", True)
    assert mounts["/results"] == ("results", None)
    assert [each["name"] for each in pod["volumes"]] == ["results", "gateway-ca"]
    assert mounts[str(given.gateway_ca.parent)][0] == "gateway-ca"
    row = client("batches", "pizza", "-n", pizza).out.splitlines()[1].split()
    assert row[:3] == ["first", "pizza", "Running"]


@pytest.mark.apiserver
def test_the_last_line_of_a_batch_that_has_ended_is_shown(apiserver: Any, client: Client, pizza: str) -> None:
    client("batch", "pizza", *WHERE, "--job", "first", "-n", pizza)
    pods = f"/api/v1/namespaces/{pizza}/pods"
    created = f"{pods}?labelSelector=batch.kubernetes.io/job-name=first"
    apiserver.wait_for(lambda: apiserver.request("GET", created)["items"], "the pod of the Job")
    [pod] = apiserver.request("GET", created)["items"]
    name = pod["metadata"]["name"]
    # As the kubelet leaves it. There is none here.
    last = "Done: 5 of 5 pictures. This run: 5 pizza, by version 1."
    ended = {"exitCode": 0, "message": last}
    status = {"containerStatuses": [{"name": "batch", "state": {"terminated": ended}, "ready": False,
                                     "restartCount": 0, "image": "", "imageID": ""}]}  # fmt: skip
    apiserver.request("PATCH", f"{pods}/{name}/status", {"status": status}, MERGE)
    [document] = json.loads(client("batches", "-n", pizza, "-o", "json").out)
    assert document["progress"] == last
    assert document["results"] == "photographs/results/2026.jsonl"


@pytest.mark.apiserver
def test_a_batch_that_could_not_run_is_refused_before_a_job_exists(
    apiserver: Any, client: Client, pizza: str
) -> None:
    def refusal(*arguments: str) -> str:
        result = client("batch", "pizza", *arguments, "-n", pizza)
        assert result.code in (1, 2)
        [line] = result.err.splitlines()
        return line

    missing = refusal("--pictures", "photos", *WHERE[2:])
    assert f"There is no PersistentVolumeClaim photos in namespace {pizza} (there: photographs)" in missing
    assert "must be CLAIM/FILE" in refusal(*WHERE[:2], "--results", "photographs/2026")
    assert "a path in it" in refusal("--pictures", "photographs/../x", *WHERE[2:])
    assert "is no bucket" in refusal("--pictures", "ftp://photographs", *WHERE[2:])
    keys = {"spec": {"gateway": {"authentication": {"apiKeys": {"secretName": "keys"}}}}}
    apiserver.request("PATCH", f"{CLASSIFIERS.format(pizza)}/pizza", keys, MERGE)
    assert "needs an API key" in refusal(*WHERE)
    assert client("batches", "-n", pizza).err == f"There is no batch in namespace {pizza}.\n"
    assert apiserver.request("GET", f"/apis/batch/v1/namespaces/{pizza}/jobs")["items"] == []


def test_the_example_is_what_the_plugin_writes() -> None:
    [example] = [each for each in yaml.safe_load_all(EXAMPLE.read_text("utf-8")) if each["kind"] == "Job"]
    pod = example["spec"]["template"]["spec"]
    [container] = pod["containers"]
    gateway = {
        "securityContext": {
            name: value for name, value in pod["securityContext"].items() if name != "fsGroup"
        },
        "containers": [{"image": container["image"], "securityContext": container["securityContext"]}],
    }
    batch = Batch(
        "pizza",
        Place("photographs", "2026"),
        Place("photographs", "results/2026.jsonl"),
        name=example["metadata"]["name"],
    )
    assert job(batch, GatewayFacts("http://pizza-gateway:80", gateway)) == example
