#!/usr/bin/env python3
"""Generates docs/reference.md from the CRD and the code (`make reference`), so that they always agree."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from imageclassifier_gateway.problems import CAUSES, TYPE_PREFIX
from imageclassifier_gateway.stats import Stats
from imageclassifier_operator import metrics
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.rollout import PROMOTE_ANNOTATION, RETRY_ANNOTATION, TRANSITIONS
from imageclassifier_operator.status.phase_table import CONDITIONS, PHASE_CONDITIONS

REPOSITORY = Path(__file__).resolve().parents[1]
CRD = REPOSITORY / "crds" / "imageclassifiers.yaml"
REFERENCE = REPOSITORY / "docs" / "reference.md"

_MEANING_OF_CONDITION = {
    "Available": "A version answers requests now.",
    "Ready": "The version that the spec asks for is that version, fully rolled out, and every gateway has "
    "acknowledged it.",
    "Progressing": "A rollout is under way. False at rest, and after a failure, with its reason.",
    "PredictorReady": "All model servers of the serving version are up.",
    "GatewayReady": "All gateways are up.",
}


def reference() -> str:
    """The text of docs/reference.md."""
    crd = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    [version] = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    parts = [
        "# Reference",
        "Made from the sources by `make reference`; `kubectl explain imageclassifier.spec` says the same of "
        "the fields.",
        "## The object",
        f"`{crd['spec']['group']}/{version['name']}`, kind `{crd['spec']['names']['kind']}`, short names "
        f"{_codes(crd['spec']['names']['shortNames'])}. {schema['description']}",
        *_rules("It is refused when one of these does not hold:", schema),
        "## spec",
        *_fields(schema["properties"]["spec"], "spec"),
        "## status",
        *_fields(schema["properties"]["status"], "status"),
        "## kubectl get",
        _table(
            ("column", "shows", "with"),
            (
                (column["name"].upper(), column.get("description", "How long it has been there."), wide)
                for column in version["additionalPrinterColumns"]
                for wide in ["`-o wide`" if column.get("priority") else ""]
            ),
        ),
        "## Annotations",
        _table(
            ("annotation", "what a new value of it does"),
            (
                (f"`{PROMOTE_ANNOTATION}`", "Lets a paused rollout go on by one step."),
                (f"`{RETRY_ANNOTATION}`", "Has a version that was taken back tried again as it is."),
            ),
        ),
        "Any value that was not there before will do; each acts once.",
        "## Conditions",
        "Good is True in each.",
        _table(
            ("condition", "True means"), ((f"`{name}`", _MEANING_OF_CONDITION[name]) for name in CONDITIONS)
        ),
        "In each phase, when all pods are well, they are (Available before the first version serves: False):",
        _table(
            ("phase", "Available", "Ready", "Progressing", "reason of Progressing"),
            (
                (f"`{phase.value}`", row.available, row.ready, row.progressing, f"`{row.reason.value}`")
                for phase, row in PHASE_CONDITIONS.items()
            ),
        ),
        "`Ready` is True only while `Available`, `PredictorReady` and `GatewayReady` are, the version that "
        "serves is the one asked for, and every ready gateway has acknowledged the newest routing.",
        "## Reasons",
        "The words that conditions, Events and `status.failedVersions` use; the message beside them says "
        "which pod and container, and what to do.",
        _table(("reason", "means"), ((f"`{reason.value}`", reason.description) for reason in Reason)),
        "## Events",
        "One for each step of a rollout; a Warning, with the reason in its note, when a version is taken "
        "back. What keeps the operator from acting is told once as a Warning with its reason.",
        _table(("event", "when"), _events()),
        "## Metrics",
        "The operator's, on port 8080 at `/metrics`:",
        _metrics(metrics.REGISTRY),
        "The gateway's, on its internal port 9697 at `/metrics`:",
        _metrics(Stats()._registry),
        "## Problems",
        "What the gateway answers when it has no prediction is a problem document (RFC 9457); its `type` is "
        f"`{TYPE_PREFIX}` and one of these. The gateway shows this table at `/problems`; the Link header of "
        "the answer leads there.",
        _table(
            ("problem", "status", "title", "what to do"),
            ((f"`{name}`", *cause) for name, cause in CAUSES.items()),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _fields(schema: Mapping[str, Any], path: str, told: dict[int, str] | None = None) -> Iterator[str]:
    """A table of the fields of an object, then one for each object within it.

    What the CRD repeats by a YAML alias is the same object here: `told` says where it has a table already.
    """
    told = {} if told is None else told
    told[id(schema["properties"])] = path
    required = set(schema.get("required", ()))
    yield _table(
        ("field", "type", "default", "description"),
        (
            (f"`{name}`", _type(field), _default(field, name in required), field["description"])
            for name, field in schema["properties"].items()
        ),
    )
    yield from _rules(f"`{path}` is refused when one of these does not hold:", schema)
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            inner_path = f"{path}.{name}{'[]' if inner is not field else ''}"
            yield f"### {inner_path}"
            if before := told.get(id(inner["properties"])):
                yield f"The fields of `{before}`."
            else:
                yield from _fields(inner, inner_path, told)
        elif "additionalProperties" in inner:
            yield from _rules(f"`{path}.{name}` is refused when one of these does not hold:", inner)


def _rules(introduction: str, schema: Mapping[str, Any]) -> list[str]:
    rules = schema.get("x-kubernetes-validations")
    if not rules:
        return []
    return [introduction, "\n".join(f"- {_plain(rule['message'])}" for rule in rules)]


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "items" in field:
        return f"list of {_type(field['items'])}s, at most {field['maxItems']}"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    if "x-kubernetes-int-or-string" in field:
        return "quantity"
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f"{field['type']}, {low} to {high}"
    return str(field["type"])


def _default(field: Mapping[str, Any], required: bool) -> str:
    if required:
        return "required"
    if "default" not in field or field["default"] == {}:
        return ""
    default = field["default"]
    if isinstance(default, dict):
        return f"`{yaml.safe_dump(default, default_flow_style=True, width=1000).strip()}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _events() -> Iterator[tuple[str, str]]:
    meanings: dict[str, list[str]] = {}
    for transition in TRANSITIONS:
        told = meanings.setdefault(transition.name, [])
        if transition.message not in told:
            told.append(transition.message)
    for name, told in meanings.items():
        yield f"`{name}`", " Or: ".join(told)


def _metrics(registry: CollectorRegistry) -> str:
    def name(family: Any) -> str:
        return f"{family.name}_total" if family.type == "counter" else str(family.name)

    return _table(
        ("metric", "type", "tells"),
        sorted((f"`{name(family)}`", family.type, family.documentation) for family in registry.collect()),
    )


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = tuple(header)
    lines = [head, tuple("---" for _ in head), *(tuple(_plain(str(cell)) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("  |", " |") for line in lines)


def _plain(text: str) -> str:
    """Text that stays itself inside a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _codes(values: Iterable[str]) -> str:
    return " and ".join(f"`{value}`" for value in values)


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
