"""Fixtures: the API server with the CRD of this checkout, and ways to write ImageClassifiers to it."""

from collections.abc import Callable
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from crd_objects import API_VERSION, Apply, manifest
from operator_process import install_crd


@pytest.fixture(scope="module")
def api(apiserver: ControlPlane) -> ControlPlane:
    """The API server with the CRD of this checkout."""
    install_crd(apiserver)
    return apiserver


@pytest.fixture
def create(api: ControlPlane) -> Apply:
    """Tries to create an ImageClassifier with the given spec (and name), as strictly as kubectl."""

    def create(**spec: Any) -> dict[str, Any]:
        path = f"/apis/{API_VERSION}/namespaces/default/imageclassifiers?fieldValidation=Strict&dryRun=All"
        stored: dict[str, Any] = api.request("POST", path, manifest(**spec))
        return stored

    return create


@pytest.fixture
def apply(api: ControlPlane, namespace: str) -> Apply:
    """Applies an ImageClassifier with the given spec, and returns what is stored."""

    def apply(**spec: Any) -> dict[str, Any]:
        path = (
            f"/apis/{API_VERSION}/namespaces/{namespace}/imageclassifiers/pizza?fieldManager=test&force=true"
        )
        stored: dict[str, Any] = api.request("PATCH", path, manifest(**spec), "application/apply-patch+yaml")
        return stored

    return apply


@pytest.fixture
def set_status(api: ControlPlane, namespace: str) -> Callable[[dict[str, Any]], None]:
    def set_status(status: dict[str, Any]) -> None:
        api.request(
            "PATCH",
            f"/apis/{API_VERSION}/namespaces/{namespace}/imageclassifiers/pizza/status?fieldValidation=Strict",
            {"status": status},
            "application/merge-patch+json",
        )

    return set_status
