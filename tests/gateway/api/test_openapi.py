"""`/openapi.json` says the truth: schemathesis makes requests from it and looks for answers it does not
describe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from fake_model import FakeModel
from gateway_testbed import eventually, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.api.openapi import openapi_document
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.gateway import build_gateway

# Nothing can say in a schema which bytes are a picture, which text is base64, or which URL may be fetched:
# what fits the schema may still be refused, with the statuses that the document names.
CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["200", "400", "404", "413", "415", "422"]},
            "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "413", "415", "422"]},
        }
    }
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    model = FakeModel().start()
    write_atomically(folder / "routing.json", routing(model))
    # The tests resolve only names that cannot exist, so no request leaves this machine.
    gateway = build_gateway(
        Settings(routing_file=folder / "routing.json", url_allowed_hosts=("pictures.invalid",))
    )
    gateway.start()
    eventually(lambda: gateway.unready_reason() is None, "the gateway is ready")
    yield create_app(gateway)
    gateway.stop()
    model.stop()


@pytest.fixture(scope="module")
def api_schema(app: Any) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=CONFIG)


OPERATIONS = [
    (method, path)
    for path, item in openapi_document(Settings())["paths"].items()
    for method in item
    if method != "parameters"
]


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_one_that_the_document_describes(
    api_schema: Any, method: str, path: str, mode: GenerationMode
) -> None:
    operation = api_schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        case.call_and_validate()

    try:
        check()
    except Unsatisfiable:
        # Every request to this operation is valid.
        assert mode == GenerationMode.NEGATIVE


def test_every_operation_documents_the_plain_text_refusals() -> None:
    for item in openapi_document(Settings())["paths"].values():
        for method in item.keys() - {"parameters"}:
            assert {"400", "414", "431"} <= item[method]["responses"].keys()


def test_every_route_is_in_the_document_and_the_other_way_round(app: Any, api_schema: Any) -> None:
    routes = {
        (method, re.sub(r"<(?:int:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {
        (method.upper(), path)
        for path, item in api_schema.raw_schema["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert routes == described
