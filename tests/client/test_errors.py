"""The sentences for requests that the API server refuses."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from imageclassifier_client.cluster.api import Api, ApiError, Json
from imageclassifier_client.cluster.batches import Batches
from imageclassifier_client.cluster.classifiers import Classifiers
from imageclassifier_client.errors import ClientError

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


class WithoutLists(Api):
    """An API server that has no claim, and refuses to list them."""

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        if path.endswith("/persistentvolumeclaims"):
            raise ApiError(403, "Forbidden", "persistentvolumeclaims is forbidden")
        raise ApiError(404, "NotFound", 'persistentvolumeclaims "photos" not found')


def test_a_missing_claim_is_named_to_a_user_who_may_not_list_claims() -> None:
    api = WithoutLists(Path("/nowhere"), "https://example.org")
    with pytest.raises(ClientError) as refusal:
        Batches(Classifiers(api, "food"), "label").check_claim("photos")
    assert str(refusal.value) == (
        "There is no PersistentVolumeClaim photos in namespace food. Correct the name, or create the claim."
    )
