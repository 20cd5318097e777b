"""The API server allows changes of a spec and a status, except those of the version that serves."""

from typing import Any

import pytest

from bare_apiserver import ApiError, ControlPlane
from crd_objects import API_VERSION, IMAGE, Apply

pytestmark = pytest.mark.apiserver


def test_an_object_that_the_operator_has_not_seen_is_in_progress_for_kstatus(
    api: ControlPlane, namespace: str, apply: Apply
) -> None:
    apply()
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/imageclassifiers/pizza"
    stored = api.request("GET", path)
    assert stored["status"] == {"observedGeneration": -1}
    assert stored["metadata"]["generation"] == 1


def test_a_status_of_a_newer_operator_is_taken(apply: Apply, set_status: Any) -> None:
    """With conditions and phases that this CRD does not know."""
    apply()
    known = {
        "status": "True",
        "reason": "New",
        "message": "It is new.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    set_status({"phase": "Dreaming", "conditions": [{**known, "type": f"Type{n}"} for n in range(20)]})


def test_a_version_can_be_raised_and_reverted(apply: Apply, set_status: Any) -> None:
    apply()
    set_status({"servingVersion": 1})
    apply(model={**IMAGE, "version": 2})
    apply()


@pytest.mark.parametrize(
    "model",
    [
        {"version": 1, "source": {"image": {"reference": "other:{version}"}}},
        {"version": 1, "source": {"persistentVolumeClaim": {"claimName": "models"}}},
    ],
    ids=["another image", "a volume instead"],
)
def test_the_source_of_the_version_that_serves_is_immutable(
    apply: Apply, set_status: Any, model: dict[str, Any]
) -> None:
    apply()
    set_status({"servingVersion": 1})
    with pytest.raises(ApiError, match="The source of the serving version cannot change"):
        apply(model=model)


@pytest.mark.parametrize("version", [1, 2])
def test_the_name_of_the_model_cannot_change_while_a_version_serves(
    apply: Apply, set_status: Any, version: int
) -> None:
    """Gateways call all versions by the same model name."""
    apply()
    apply(model={**IMAGE, "name": "first"})
    set_status({"servingVersion": 1})
    with pytest.raises(ApiError, match="Create another ImageClassifier for the other model"):
        apply(model={**IMAGE, "name": "other", "version": version})


DESCRIBED: dict[str, Any] = {
    "classes": [{"name": "dark"}, {"name": "light"}],
    "input": {"height": 8, "width": 8, "dtype": "float32", "rescaling": {"scale": "0.5"}},
    "output": {"activation": "sigmoid", "threshold": "50%"},
}


@pytest.mark.parametrize(
    "changed",
    [
        {"classes": [{"name": "light"}, {"name": "dark"}]},
        {"input": {**DESCRIBED["input"], "rescaling": {"scale": "0.25"}}},
        {"output": {"activation": "none"}},
    ],
    ids=["classes in another order", "another scale", "another output"],
)
def test_the_contract_of_the_serving_version_is_immutable(
    apply: Apply, set_status: Any, changed: dict[str, Any]
) -> None:
    """Otherwise the new contract would apply to all requests at once, without a verification."""
    apply(**DESCRIBED)
    set_status({"servingVersion": 1})
    with pytest.raises(ApiError, match="The input, output and class names of the serving version"):
        apply(**{**DESCRIBED, **changed})
    apply(**{**DESCRIBED, **changed, "model": {**IMAGE, "version": 2}})


def test_the_words_for_a_class_and_the_threshold_can_change_while_the_version_serves(
    apply: Apply, set_status: Any
) -> None:
    apply(**DESCRIBED)
    set_status({"servingVersion": 1})
    worded = [{"name": "dark", "message": "Night."}, {"name": "light"}]
    apply(**{**DESCRIBED, "classes": worded, "output": {"activation": "sigmoid", "threshold": "90%"}})


def test_setting_the_default_model_name_explicitly_is_not_a_change(apply: Apply, set_status: Any) -> None:
    apply()
    set_status({"servingVersion": 1})
    apply(model={**IMAGE, "name": "pizza"})


def test_a_source_that_was_changed_by_returning_to_a_version_can_be_reverted(
    apply: Apply, set_status: Any
) -> None:
    """A rollout with another image, and back by the number alone: the operator refuses that, and says so."""
    apply(model={"version": 1, "source": {"image": {"reference": "pizza-model:2"}}})
    refused = {
        "type": "Ready",
        "status": "False",
        "reason": "InvalidSpec",
        "message": "version 1 serves, so its source cannot change",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    set_status({"servingVersion": 1, "conditions": [refused]})
    apply()


def test_how_the_image_is_pulled_can_change_while_the_version_serves(apply: Apply, set_status: Any) -> None:
    apply()
    set_status({"servingVersion": 1})
    pulled = {"reference": "pizza-model:{version}", "pullSecrets": [{"name": "a"}], "pullPolicy": "Always"}
    apply(model={"version": 1, "source": {"image": pulled}})


def in_storage(**changed: Any) -> dict[str, Any]:
    return {"version": 1, "source": {"storage": {"uri": "s3://models/flowers", **changed}}}


@pytest.mark.parametrize(
    "changed",
    [{"uri": "s3://models/roses"}, {"endpoint": "https://minio.example"}, {"sha256": "a" * 64}],
    ids=["another directory", "another store", "a digest that was not known"],
)
def test_the_place_of_the_files_is_immutable_without_a_digest(
    apply: Apply, set_status: Any, changed: dict[str, str]
) -> None:
    apply(model=in_storage())
    set_status({"servingVersion": 1})
    apply(model=in_storage(region="eu-west-1", credentialsFrom={"secret": "store"}))
    with pytest.raises(ApiError, match="The source of the serving version cannot change"):
        apply(model=in_storage(**changed))


def test_files_with_a_digest_may_move_while_the_version_serves(apply: Apply, set_status: Any) -> None:
    apply(model=in_storage(sha256="a" * 64))
    set_status({"servingVersion": 1})
    apply(model=in_storage(sha256="a" * 64, uri="hf://other/flowers@v{version}/export"))
    with pytest.raises(ApiError, match="The source of the serving version cannot change"):
        apply(model=in_storage(sha256="b" * 64))


def test_a_typo_in_a_version_that_never_served_can_be_corrected(apply: Apply, set_status: Any) -> None:
    apply()
    apply(model={"version": 1, "source": {"image": {"reference": "pizza-modle:{version}"}}})
    set_status({"servingVersion": 1})
    apply(model={"version": 2, "source": {"image": {"reference": "pizza-modle:2"}}})
    apply(model={"version": 2, "source": {"image": {"reference": "pizza-model:2"}}})
