"""How requests are shared between versions: percentages, sticky users, and the figures of each version."""

from __future__ import annotations

import json

import pytest

from fake_model import CONTRACT
from gateway_testbed import routing
from imageclassifier_gateway.gateway import Gateway
from versions_under_test import MakeModel, figures, send, start


def test_requests_are_shared_and_counted_by_version(gateway: Gateway, make_model: MakeModel) -> None:
    client = start(gateway, routing(make_model(version=1), make_model(version=2), percents=(60, 40)), ready=2)
    versions = send(client, 200)
    assert 40 <= versions.count(2) <= 120
    for version in (1, 2):
        document = figures(gateway, version)
        assert (
            document["requests"] == versions.count(version) == document["latency_seconds"]["buckets"]["+Inf"]
        )
        assert document["errors"] == 0
        assert document["latency_seconds"]["sum"] > 0
        counts = list(document["latency_seconds"]["buckets"].values())
        assert counts == sorted(counts)


def test_a_version_with_no_share_is_reported_on_and_gets_nothing(
    gateway: Gateway, make_model: MakeModel
) -> None:
    two = make_model(version=2)
    client = start(gateway, routing(make_model(version=1), two, percents=(100, 0)), ready=2)
    assert send(client, 50) == [1] * 50
    document = figures(gateway, 2)
    assert document["ready"]
    assert document["classes"] == ["not_pizza", "pizza"]
    assert document["contract_digest"].startswith("sha256:")
    assert (document["requests"], two.requests) == (0, [])


@pytest.mark.parametrize("sticky", ["header", "cookie"])
def test_a_user_stays_with_one_version(gateway: Gateway, make_model: MakeModel, sticky: str) -> None:
    models = (make_model(version=1), make_model(version=2))
    client = start(gateway, routing(*models, percents=(50, 50), sticky={sticky: "X-User"}), ready=2)
    seen = set()
    for user in range(20):
        if sticky == "cookie":
            client.set_cookie("X-User", f"user-{user}")
        versions = set(send(client, 5, **({"X-User": f"user-{user}"} if sticky == "header" else {})))
        assert len(versions) == 1
        seen |= versions
    assert seen == {1, 2}
    client.delete_cookie("X-User")
    assert set(send(client, 50)) == {1, 2}


@pytest.mark.parametrize("header", ["X-Request-ID", "Traceparent", "X-User", "Cookie"])
def test_no_header_of_a_client_chooses_the_version(
    gateway: Gateway, make_model: MakeModel, header: str
) -> None:
    client = start(gateway, routing(make_model(version=1), make_model(version=2), percents=(50, 50)), ready=2)
    assert set(send(client, 40, **{header: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})) == {
        1,
        2,
    }


def test_a_candidate_with_another_input_size_gets_pictures_of_its_own_size(
    gateway: Gateway, make_model: MakeModel
) -> None:
    contract = {**CONTRACT, "input": {**CONTRACT["input"], "height": 16, "width": 24}}  # type: ignore[dict-item]
    two = make_model(version=2, contract=contract)
    client = start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    assert send(client, 1) == [2]
    assert [dim.size for dim in two.requests[0].inputs["pixels"].tensor_shape.dim] == [1, 16, 24, 3]


def test_the_rollout_document_has_the_fields_of_the_architecture_page(
    gateway: Gateway, make_model: MakeModel
) -> None:
    start(
        gateway, routing(make_model(version=1), make_model(version=2), percents=(90, 10), revision=7), ready=2
    )
    document = gateway.rollout_document()
    assert json.loads(json.dumps(document)) == document
    assert set(document) == {
        "schema",
        "start_id",
        "revision",
        "serving",
        "routing_error",
        "versions",
        "access",
        "shadow",
    }
    assert set(document["versions"]["2"]) == {
        "ready", "error", "contract_digest", "classes", "requests", "errors", "latency_seconds",
    }  # fmt: skip
    assert (document["schema"], document["revision"], document["serving"]) == (1, 7, 1)
