"""A version in an archive behind an HTTPS URL: its pods, its policy, its digest and its problems."""

from typing import Any

import pytest

from broken_pods import crashed, pod, waiting
from imageclassifier_operator import api
from imageclassifier_operator.observe import objects
from imageclassifier_operator.observe.pod_problems import diagnose
from rendered import SPECS, classifier, serving_children

URL, DIGEST = "https://a.example/m-{version}.tar", "a" * 64


def version(**changed: Any) -> api.ModelVersion:
    source = {"https": {"url": URL, "sha256": DIGEST, **changed}}
    return classifier({"model": {"version": 3, "source": source}}).candidate("tf", "gateway:1")


def test_only_the_digest_is_the_identity_of_the_files() -> None:
    moved = version(url="https://b.example/m.tar")
    assert moved.source_hash == version().source_hash
    assert moved.input_hash != version().input_hash
    assert version(sha256="b" * 64).source_hash != version().source_hash


def test_the_credentials_are_mounted_by_the_init_container_only() -> None:
    deployment = serving_children(version(headersFrom={"secret": "model-store"}))["Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    assert {"name": "source-headers", "secret": {"secretName": "model-store"}} in spec["volumes"]
    [init], [server] = spec["initContainers"], spec["containers"]
    assert init["image"] == "gateway:1"
    assert "source-headers" in {each["name"] for each in init["volumeMounts"]}
    assert "source-headers" not in {each["name"] for each in server["volumeMounts"]}
    assert "https://a.example/m-3.tar" in init["args"]


def test_only_the_pods_of_a_version_that_is_downloaded_may_open_connections() -> None:
    policy = serving_children(version())["NetworkPolicy"]
    assert policy["metadata"]["name"] == "pizza-serving-v3"
    assert policy["spec"]["podSelector"]["matchLabels"]["imageclassifier.dev/version"] == "3"
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert "169.254.0.0/16" in str(policy["spec"]["egress"])
    assert "NetworkPolicy" not in serving_children(classifier(SPECS["volume"]).candidate("tf"))
    inside = serving_children(version(url="https://models.storage.svc/m.tar"))["NetworkPolicy"]
    assert "{'kubernetes.io/metadata.name': 'storage'}" in str(inside["spec"]["egress"])


def test_the_digest_of_the_archive_is_the_digest_of_the_model() -> None:
    deployment = serving_children(version())["Deployment"]
    [seen] = objects.versions(objects.Objects([deployment], [], []), {}).values()
    assert seen.model_digest == f"sha256:{DIGEST}"


@pytest.mark.parametrize(
    ("code", "reason", "fatal"),
    [
        (3, "ModelNotFound", True),
        (4, "ModelDownloadFailed", False),
        (5, "ModelDownloadFailed", True),
        (1, "ContainerCrashed", True),
    ],
)
def test_the_words_of_the_program_are_the_problem_of_the_version(code: int, reason: str, fatal: bool) -> None:
    spec = serving_children(version())["Deployment"]["spec"]["template"]["spec"]
    said = "https://a.example/m-3.tar responds with 404 Not Found. Upload it."
    inits = [crashed(message=said, code=code, name="model-files")]
    problem = diagnose([{**pod(inits=inits), "spec": spec}])
    assert problem is not None
    assert (problem.reason, problem.fatal) == (reason, fatal)
    assert said.rstrip(".") in problem.message


def test_the_image_of_the_download_names_the_pull_secrets_of_the_gateway() -> None:
    spec = serving_children(version())["Deployment"]["spec"]["template"]["spec"]
    problem = diagnose([{**pod(inits=[waiting("ErrImagePull", name="model-files")]), "spec": spec}])
    assert problem is not None
    assert problem.message.endswith(" or spec.gateway.imagePullSecrets.")
