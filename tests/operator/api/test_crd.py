"""The text of the CRD: every field has a description, a bound, and the same default as the code."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from crd_objects import CRD_FILE
from imageclassifier_operator import api
from imageclassifier_operator.api import names
from imageclassifier_operator.api.removed_fields import EARLIER_DEFAULTS, REMOVED_FIELDS
from imageclassifier_operator.rollout.state import MAX_FAILED_VERSIONS, Phase
from imageclassifier_operator.status.kstatus import KSTATUS_CONDITIONS
from imageclassifier_operator.status.phase_table import CONDITIONS

CRD: dict[str, Any] = yaml.safe_load(CRD_FILE.read_text(encoding="utf-8"))
[VERSION] = CRD["spec"]["versions"]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]


def fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field below `schema` with its path, as in `spec.rollout.steps[].percent`."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(key), dict):
            yield f"{path}{suffix}", schema[key]
            yield from fields(schema[key], f"{path}{suffix}")


FIELDS = {
    path: field
    for part in ("spec", "status")
    for path, field in [(part, SCHEMA["properties"][part]), *fields(SCHEMA["properties"][part], part)]
}


def test_the_crd_defines_what_the_code_calls_it() -> None:
    defined = CRD["spec"]["names"]
    assert (CRD["spec"]["group"], VERSION["name"], defined["kind"], defined["plural"]) == (
        names.GROUP,
        names.VERSION,
        names.KIND,
        names.PLURAL,
    )


def test_every_field_is_described_in_sentences() -> None:
    for path, field in FIELDS.items():
        if not path.endswith(("[]", ".*")):
            assert field.get("description", "").endswith((".", '"')), path


def test_every_string_list_and_map_is_bounded() -> None:
    for path, field in FIELDS.items():
        kind = field.get("type")
        if (kind == "string" and "enum" not in field) or "x-kubernetes-int-or-string" in field:
            assert "maxLength" in field or path.startswith("status."), path
        if kind == "array":
            assert "maxItems" in field, path
            assert "x-kubernetes-list-type" in field, path
        if kind == "object" and ("additionalProperties" in field or "properties" not in field):
            assert "maxProperties" in field, path


def test_every_rule_has_a_message_for_people() -> None:
    rules = [
        rule for field in [SCHEMA, *FIELDS.values()] for rule in field.get("x-kubernetes-validations", ())
    ]
    assert rules
    for rule in rules:
        assert len(rule["message"].split()) >= 5


def with_defaults(schema: Mapping[str, Any], value: Any) -> Any:
    """`value` with the schema's defaults filled in, as the API server does it."""
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name not in value and "default" in field:
                value[name] = field["default"]
            if name in value:
                value[name] = with_defaults(field, value[name])
    if isinstance(value, list) and "items" in schema:
        return [with_defaults(schema["items"], item) for item in value]
    return value


MINIMAL: dict[str, Any] = {"model": {"version": 1, "source": {"image": {"reference": "m"}}}}
LEGACY = {
    "classes": [{"name": "a"}, {"name": "b"}],
    "input": {"height": 9, "width": 9},
    "output": {},
}
PARTS: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "autoscaling": {"autoscaling": {"maxReplicas": 3}},
    "gateway autoscaling": {"gateway": {"autoscaling": {"maxReplicas": 3}}},
    "batching": {"serving": {"batching": {}}},
    "a model that does not describe itself": LEGACY,
    "ingress": {"gateway": {"ingress": {"host": "a"}}},
    "steps": {"rollout": {"steps": [{"percent": 5}]}},
    "shadow": {"rollout": {"shadow": {"percent": 5}}},
    "acceptance": {
        "rollout": {
            "acceptance": {"cases": [{"name": "a", "label": "b", "picture": {"url": "https://example.org"}}]}
        }
    },
}


@pytest.mark.parametrize("part", PARTS)
def test_the_schemas_defaults_are_those_of_the_code(part: str) -> None:
    def parsed(body: dict[str, Any]) -> api.ImageClassifier:
        return api.parse({"metadata": {"name": "a", "namespace": "b", "uid": "c"}, "spec": body})

    body = {**MINIMAL, **PARTS[part]}
    assert parsed(with_defaults(FIELDS["spec"], copy.deepcopy(body))) == parsed(body)


def test_every_setting_that_the_code_has_is_a_field_and_the_other_way_round() -> None:
    def snake(name: str) -> str:
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)

    for path, settings in (
        ("spec.rollout", api.RolloutSettings),
        ("spec.rollout.limits", api.Limits),
        ("spec.rollout.shadow", api.Shadow),
        ("spec.serving", api.ServingSettings),
        ("spec.gateway", api.GatewaySettings),
        ("spec.gateway.urls", api.GatewayUrls),
        ("spec.gateway.urls.proxy", api.EgressProxy),
        ("spec.gateway.tracing", api.Tracing),
        ("spec.model.source.https.proxy", api.EgressProxy),
        ("spec.model.source.storage.proxy", api.EgressProxy),
        ("spec.gateway.service", api.GatewayService),
    ):
        in_schema = {
            snake(name)
            for name, field in FIELDS[path]["properties"].items()
            if not field["description"].startswith("Removed:")
        }
        assert in_schema == set(settings.__dataclass_fields__), path


def test_the_status_knows_every_phase_and_condition_of_the_code() -> None:
    """In its descriptions: an enum would refuse the whole status of a newer operator."""
    assert all(phase in FIELDS["status.phase"]["description"] for phase in Phase)
    for condition in (*CONDITIONS, *KSTATUS_CONDITIONS):
        assert f"{condition}: " in FIELDS["status.conditions"]["description"]
    assert FIELDS["status.failedVersions"]["maxItems"] == MAX_FAILED_VERSIONS


def test_the_crd_refuses_the_same_removed_fields_as_the_operator() -> None:
    removed = {
        path.removeprefix("spec.")
        for path, field in FIELDS.items()
        if field.get("description", "").startswith("Removed:")
    }
    assert removed == REMOVED_FIELDS.keys()
    for path, replacement in REMOVED_FIELDS.items():
        assert f"spec.{replacement}" in FIELDS, path
        name, field = path.rpartition(".")[2], FIELDS[f"spec.{path}"]
        [rule] = field["x-kubernetes-validations"]
        assert f"{name} is now " in rule["message"]
        assert (rule["rule"] == "false") == (path not in EARLIER_DEFAULTS)


def test_nothing_in_a_removed_field_keeps_the_api_server_from_comparing_it() -> None:
    """It compares values below fields that it knows, and accepts a value that has not changed."""
    removed = [f"spec.{path}" for path in REMOVED_FIELDS]
    parts = [field for path, field in FIELDS.items() if path.startswith(tuple(removed))]
    assert not any("x-kubernetes-preserve-unknown-fields" in field for field in parts)


def test_no_field_of_the_spec_is_a_float() -> None:
    floats = {
        path for path, field in FIELDS.items() if path.startswith("spec.") and field.get("type") == "number"
    }
    assert {path.removeprefix("spec.") for path in floats} <= REMOVED_FIELDS.keys()


def test_every_integer_has_a_format() -> None:
    for path, field in FIELDS.items():
        if field.get("type") == "integer":
            assert field.get("format") in ("int32", "int64"), path


def test_no_field_of_the_status_has_a_list_of_values_that_a_newer_operator_may_extend() -> None:
    enums = {path for path, field in FIELDS.items() if path.startswith("status.") and "enum" in field}
    assert enums == {"status.conditions[].status"}


def test_every_column_shows_a_field_that_exists() -> None:
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"].removeprefix(".")
        if path.startswith("status.conditions[?"):
            path = f"status.conditions[].{path.rpartition('.')[2]}"
        if not path.startswith("metadata."):
            assert path in FIELDS, column
