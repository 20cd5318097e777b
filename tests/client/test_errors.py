"""The sentences for requests that the API server refuses."""

from pathlib import Path

from imageclassifier_client.cluster.api import Api, ApiError
from imageclassifier_client.cluster.classifiers import Classifiers

CLASSIFIERS = Classifiers(Api(Path("/nowhere"), "https://example.org"), "food", "kind")


def test_a_cluster_without_the_crd_differs_from_a_missing_object() -> None:
    error = CLASSIFIERS.explained(ApiError(404, "", "404 page not found"))
    assert str(error).startswith(
        "The cluster (context kind) does not know ImageClassifiers: their CRD is not"
    )
    assert "docs/install.md" in str(error)


def test_a_refused_change_keeps_the_message_of_the_api_server() -> None:
    message = 'ImageClassifier "pizza" is invalid: spec.model.version: must be at least 1'
    assert message in str(CLASSIFIERS.explained(ApiError(422, "Invalid", message)))
