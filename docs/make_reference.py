#!/usr/bin/env python3
"""Generates docs/reference.md from the CRD and the code (`make reference`), so that they always agree."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from imageclassifier_gateway import config as gateway_config
from imageclassifier_gateway.problems import CAUSES, TYPE_PREFIX
from imageclassifier_gateway.stats import Stats
from imageclassifier_operator import metrics
from imageclassifier_operator import settings as operator_settings
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.rollout import PROMOTE_ANNOTATION, RETRY_ANNOTATION, TRANSITIONS
from imageclassifier_operator.status.events import STEPS
from imageclassifier_operator.status.kstatus import KSTATUS_CONDITIONS
from imageclassifier_operator.status.phase_table import CONDITIONS, PHASE_CONDITIONS

REPOSITORY = Path(__file__).resolve().parents[1]
CRD = REPOSITORY / "crds" / "imageclassifiers.yaml"
REFERENCE = REPOSITORY / "docs" / "reference.md"

_MEANING_OF_CONDITION = {
    "Available": "A version answers requests now.",
    "Ready": "The version in the spec serves and is fully rolled out, and every ready gateway has "
    "acknowledged the newest routing.",
    "Progressing": "A rollout is under way, from loading a version until the previous one is removed, also "
    "while it is paused. It is False at rest, and while the operator cannot go on, with the reason.",
    "PredictorReady": "All model servers of the serving version are available.",
    "GatewayReady": "All gateways are available.",
    "Reconciling": "The operator works on the spec, or waits for pods, a verdict or a promotion.",
    "Stalled": "Waiting does not help: the spec is invalid, another object blocks a child, the version "
    "failed, or the first version did not begin to serve within progressDeadlineSeconds. The message says "
    "what to change.",
}


def reference() -> str:
    """The text of docs/reference.md."""
    crd = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    [version] = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    parts = [
        "# Reference",
        "> This page is generated: change its sources, then run `make reference`. The fields come from "
        "`crds/imageclassifiers.yaml`. All other tables come from the code that `docs/make_reference.py` "
        "imports. `kubectl explain imageclassifier.spec` shows the same descriptions of the fields.",
        "## The object",
        f"`{crd['spec']['group']}/{version['name']}`, kind `{crd['spec']['names']['kind']}`, short names "
        f"{_codes(crd['spec']['names']['shortNames'])}. {schema['description']}",
        *_rules("The API server refuses an object with one of these messages:", schema),
        "## spec",
        *_fields(schema["properties"]["spec"], "spec"),
        "## status",
        *_fields(schema["properties"]["status"], "status"),
        "## kubectl get",
        _table(
            ("column", "shows", "with"),
            (
                (column["name"].upper(), column.get("description", "The time since it was created."), wide)
                for column in version["additionalPrinterColumns"]
                for wide in ["`-o wide`" if column.get("priority") else ""]
            ),
        ),
        "## Annotations",
        _table(
            ("annotation", "effect of a new value"),
            (
                (f"`{PROMOTE_ANNOTATION}`", "Continues a paused rollout by one step."),
                (f"`{RETRY_ANNOTATION}`", "Retries a version that failed, although its spec is unchanged."),
            ),
        ),
        "Use any new value, such as the date. Each value takes effect once. `spec.rollout.promoteToken` and "
        "`spec.rollout.retryToken` do the same in a manifest.",
        "## Conditions",
        "These conditions are always present. At rest, all but Progressing are True. `Available`, `Ready` "
        "and `GatewayReady` are Unknown while the operator gets no answer from the gateways.",
        _table(
            ("condition", "True means"), ((f"`{name}`", _MEANING_OF_CONDITION[name]) for name in CONDITIONS)
        ),
        "While Ready is False, there is also one of these two. kstatus, and with it Flux and Config Sync, "
        "reads Reconciling as in progress and Stalled as failed.",
        _table(
            ("condition", "True means"),
            ((f"`{name}`", _MEANING_OF_CONDITION[name]) for name in KSTATUS_CONDITIONS),
        ),
        "The conditions in each phase, while all pods are healthy. Available is False until the first "
        "version serves.",
        _table(
            ("phase", "Available", "Ready", "Progressing", "reason of Progressing"),
            (
                (f"`{phase.value}`", row.available, row.ready, row.progressing, f"`{row.reason.value}`")
                for phase, row in PHASE_CONDITIONS.items()
            ),
        ),
        "`Ready` is True only while `Available`, `PredictorReady` and `GatewayReady` are True, the version "
        "in the spec serves, and every ready gateway has acknowledged the newest routing.",
        "## Reasons",
        "The reasons of conditions, Warning Events and `status.failedVersions`. The message beside a reason "
        "names the object, the cause and what to do.",
        _table(("reason", "meaning"), ((f"`{reason.value}`", reason.description) for reason in Reason)),
        "## Events",
        "The operator posts an Event for each transition of a rollout that changes the traffic or has a "
        "cause. The status shows the others, and the operator's log has all. An Event is a Warning, with "
        "reason and cause in its message, when a version fails. N is a version, and P a percentage. What "
        "prevents the operator from acting is a Warning too, with one of the reasons above.",
        _table(("event", "message"), _events()),
        "## Metrics",
        "The operator's metrics, at `/metrics` on port 8080:",
        _metrics(metrics.REGISTRY),
        "The gateway's metrics, at `/metrics` on its internal port 9697:",
        _metrics(Stats()._registry),
        "## Problems",
        "Without a prediction the gateway responds with a problem document (RFC 9457). Its `type` is "
        f"`{TYPE_PREFIX}` followed by one of these names. The gateway shows this table at `/problems`, to "
        "which the Link header of the response points.",
        _table(
            ("problem", "status", "title", "what to do"),
            ((f"`{name}`", *cause) for name, cause in CAUSES.items()),
        ),
        "## Settings",
        "Environment variables of the operator, as `imageclassifier-operator --help` shows them. The "
        "Deployment in `operator/install/install.yaml` sets them.",
        _table(
            ("variable", "meaning", "default"),
            (
                (f"`{each.name}`", each.meaning, "required" if each.required else each.default)
                for each in operator_settings.VARIABLES
            ),
        ),
        "Environment variables of the gateway, as `imageclassifier-gateway --help` shows them. The operator "
        "sets them from `spec.gateway`.",
        _table(
            ("variable", "meaning", "default"),
            ((f"`{each.name}`", each.meaning, each.default) for each in gateway_config.VARIABLES),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _fields(schema: Mapping[str, Any], path: str, told: dict[int, str] | None = None) -> Iterator[str]:
    """A table of the fields of an object, then one for each object within it that is not a removed field.

    What the CRD repeats by a YAML alias is the same object here; `told` maps it to the path of its table.
    """
    told = {} if told is None else told
    told[id(schema["properties"])] = path
    required = set(schema.get("required", ()))
    yield _table(
        ("field", "type", "default", "description"),
        (
            (f"`{name}`", _type(field), _default(field, name in required), field["description"])
            for name, field in schema["properties"].items()
            if not field["description"].startswith("Refused")
        ),
    )
    refused = [
        f"- `{name}`: {_plain(rule['message'])}"
        for name, field in schema["properties"].items()
        if field["description"].startswith("Refused")
        for rule in field.get("x-kubernetes-validations", ())
    ]
    if refused:
        yield "It cannot have these fields. The API server refuses each with its reason:"
        yield "\n".join(refused)
    yield from _rules(f"The API server refuses `{path}` with one of these messages:", schema)
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        if field["description"].startswith(("Removed:", "Refused")):
            continue
        if "properties" in inner:
            inner_path = f"{path}.{name}{'[]' if inner is not field else ''}"
            yield f"### {inner_path}"
            if before := told.get(id(inner["properties"])):
                yield f"It has the fields of `{before}`."
            else:
                yield from _fields(inner, inner_path, told)
        elif "additionalProperties" in inner:
            yield from _rules(f"The API server refuses `{path}.{name}` with one of these messages:", inner)


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
        return "quantity" if "pattern" in field else "integer or string"
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
        if transition.name in STEPS:
            continue
        told = meanings.setdefault(transition.name, [])
        message = transition.message.format(version="N", percent="P")
        if message not in told:
            told.append(message)
    for name, told in meanings.items():
        yield f"`{name}`", " Or: ".join(told)


def _metrics(registry: CollectorRegistry) -> str:
    def name(family: Any) -> str:
        return f"{family.name}_total" if family.type == "counter" else str(family.name)

    return _table(
        ("metric", "type", "meaning"),
        sorted((f"`{name(family)}`", family.type, family.documentation) for family in registry.collect()),
    )


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = tuple(header)
    lines = [head, tuple("---" for _ in head), *(tuple(_plain(str(cell)) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("  |", " |") for line in lines)


def _plain(text: str) -> str:
    """Text that is safe inside a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _codes(values: Iterable[str]) -> str:
    return " and ".join(f"`{value}`" for value in values)


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
