"""A version in a store such as S3: its pods, its policy, its digest and its problems."""

from typing import Any

import pytest

from broken_pods import crashed, pod
from imageclassifier_operator import api
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import PODS
from imageclassifier_operator.observe import objects
from imageclassifier_operator.observe.pod_problems import diagnose
from imageclassifier_operator.runtime.store import Store
from rendered import classifier, serving_children

DIGEST = "a" * 64


def version(**changed: Any) -> api.ModelVersion:
    source = {"storage": {"uri": "s3://models/flowers/{version}", **changed}}
    return classifier({"model": {"version": 3, "source": source}}).candidate("tf", "gateway:1")


def pod_spec(**changed: Any) -> dict[str, Any]:
    spec: dict[str, Any] = serving_children(version(**changed))["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_the_identity_of_the_files_is_their_digest_or_else_their_place() -> None:
    assert version(region="eu-west-1").source_hash == version().source_hash
    assert version(uri="s3://models/roses/3").source_hash != version().source_hash
    assert version(endpoint="https://minio.example").source_hash != version().source_hash
    known = version(sha256=DIGEST)
    assert version(sha256=DIGEST, uri="s3://other/3").source_hash == known.source_hash
    assert version(sha256="b" * 64).source_hash != known.source_hash


def test_the_credentials_are_mounted_by_the_init_container_only() -> None:
    spec = pod_spec(credentialsFrom={"secret": "model-store"}, region="eu-west-1")
    assert {"name": "source-credentials", "secret": {"secretName": "model-store"}} in spec["volumes"]
    [init], [server] = spec["initContainers"], spec["containers"]
    assert init["image"] == "gateway:1"
    assert init["args"] == [
        "storage", "--uri", "s3://models/flowers/3", "--region", "eu-west-1", "--out", "/model-copy",
        "--credentials", "/etc/imageclassifier/source-credentials", "--version", "3",
    ]  # fmt: skip
    assert "source-credentials" in {each["name"] for each in init["volumeMounts"]}
    assert "source-credentials" not in {each["name"] for each in server["volumeMounts"]}


PROXY = {
    "host": "proxy.egress.svc",
    "port": 3128,
    "directHosts": ["*.corp.example.org"],
    "credentialsSecret": {"name": "proxy"},
}


def test_the_init_container_gets_the_proxy_and_its_credentials_and_the_server_does_not() -> None:
    spec = pod_spec(proxy=PROXY)
    [init], [server] = spec["initContainers"], spec["containers"]
    values = {each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"] for each in init["env"]}
    assert values == {
        "MODEL_PROXY": "http://proxy.egress.svc:3128",
        "MODEL_PROXY_DIRECT_HOSTS": "*.corp.example.org",
        "MODEL_PROXY_USER": {"name": "proxy", "key": "username"},
        "MODEL_PROXY_PASSWORD": {"name": "proxy", "key": "password"},
    }
    assert "MODEL_PROXY" not in str(server)
    https = {"url": "https://example.org/{version}.tar", "sha256": DIGEST, "proxy": PROXY}
    served = classifier({"model": {"version": 3, "source": {"https": https}}}).candidate("tf", "gateway:1")
    [other] = serving_children(served)["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    assert other["env"] == init["env"]
    assert "env" not in pod_spec()["initContainers"][0]


def test_a_proxy_is_no_part_of_the_identity_of_the_files_and_is_stored_with_the_version() -> None:
    served = version(proxy=PROXY)
    assert served.source_hash == version().source_hash
    assert served.pod_hash != version().pod_hash
    assert api.ModelVersion.from_json(served.to_json()) == served
    assert "proxy" not in str(version().to_json())


def egress(**changed: Any) -> str:
    return str(serving_children(version(**changed))["NetworkPolicy"]["spec"]["egress"])


def test_the_pods_may_reach_what_the_download_needs() -> None:
    inside = egress(endpoint="http://minio.storage.svc.cluster.local:9000")
    assert "{'kubernetes.io/metadata.name': 'storage'}" in inside
    assert "{'kubernetes.io/metadata.name': 'egress'}" in egress(proxy=PROXY)
    for endpoint in ("https://minio.example", "http://10.0.0.7:9000", "https://s3.svc.example"):
        assert egress(endpoint=endpoint).count("namespaceSelector") == 1, endpoint  # that of DNS
    assert "169.254.170.23/32" in egress()
    assert "169.254.170.23/32" not in egress(uri="hf://team/flowers")
    assert "169.254.169.252/32" in egress(uri="gs://models/flowers/3")
    assert "'169.254.169.254/32'" in egress(uri="gs://models/flowers/3")
    assert "'169.254.169.254/32'" not in egress(uri="gs://models/3", credentialsFrom={"secret": "s"})
    assert "169.254.170.23/32" not in egress(credentialsFrom={"secret": "model-store"})


def test_the_pods_may_get_the_role_for_the_bucket_of_mlflow_also_with_credentials_of_its_server() -> None:
    for credentials in ({}, {"credentialsFrom": {"secret": "mlflow"}}):
        opened = egress(uri="models:/flowers/3", endpoint="https://mlflow.example", **credentials)
        assert "169.254.170.23/32" in opened
        assert "169.254.169.252/32" in opened


@pytest.mark.parametrize(
    ("message", "digest"), [(f"sha256:{DIGEST}", f"sha256:{DIGEST}"), ("Downloaded.", ""), (None, "")]
)
def test_the_digest_that_the_init_container_reports_is_that_of_the_model(
    message: str | None, digest: str
) -> None:
    deployment = serving_children(version())["Deployment"]
    ended = {"name": "model-files", "state": {"terminated": {"exitCode": 0, "message": message}}}
    spec = deployment["spec"]["template"]
    running = {
        "metadata": {**deployment["metadata"], **spec["metadata"], "name": "p", "uid": "u"},
        "spec": spec["spec"],
        "status": {"initContainerStatuses": [{**ended, "imageID": "gateway@sha256:1"}]},
    }
    [seen] = objects.versions(objects.Objects([deployment], [running], []), {}).values()
    assert seen.model_digest == digest


@pytest.mark.parametrize(
    ("code", "reason", "fatal"),
    [(3, "ModelNotFound", True), (4, "ModelDownloadFailed", False), (5, "ModelDownloadFailed", True)],
)
def test_the_words_of_the_program_are_the_problem_of_the_version(code: int, reason: str, fatal: bool) -> None:
    said = "s3://models/flowers/3: the store responds with 404 Not Found: NoSuchBucket. Create the bucket."
    inits = [crashed(message=said, code=code, name="model-files")]
    failed = {**pod(inits=inits), "spec": pod_spec()}
    store = Store(PODS)  # keeps only a part of each pod
    labels = names.labels("pizza", "serving", 3)
    identity = {"namespace": "food", "uid": "u", "resourceVersion": "1", "labels": labels}
    store.put({**failed, "metadata": {**failed["metadata"], **identity}})
    [[kept]] = store.values()
    problem = diagnose([kept])
    assert problem is not None
    assert (problem.reason, problem.fatal) == (reason, fatal)
    assert said.rstrip(".") in problem.message
