"""`template` in the spec: what the pods have beside what the operator renders."""

from typing import Any

import pytest

from imageclassifier_operator import render
from imageclassifier_operator.api import InvalidSpec
from rendered import SETTINGS, SPECS, all_children, classifier

CONTAINER = {"serving": "model-server", "gateway": "gateway", "verification": "verify"}
SMALLEST = SPECS["smallest"]


def with_template(part: str, template: dict[str, Any]) -> dict[str, Any]:
    """The smallest spec with a template of `part`."""
    return {**SMALLEST, part: {"template": template}}


def pods(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The pod templates, by the part of the spec that they belong to."""
    parts = {"Job": "verification", "pizza-gateway": "gateway", "pizza-serving-v3": "serving"}
    return {
        parts.get(name) or parts[kind]: child["spec"]["template"]
        for (kind, name), child in all_children(body).items()
        if kind in ("Deployment", "Job")
    }


def spec_of(body: dict[str, Any], part: str) -> dict[str, Any]:
    spec: dict[str, Any] = pods(body)[part]["spec"]
    return spec


every_part = pytest.mark.parametrize("part", CONTAINER)


@every_part
def test_a_template_changes_only_the_pods_of_its_part(part: str) -> None:
    changed = pods(with_template(part, {"spec": {"priorityClassName": "high"}}))
    follows = {part, "verification"} if part == "gateway" else {part}
    assert {each for each, pod in changed.items() if pod["spec"].get("priorityClassName")} == follows


@every_part
def test_fields_of_a_pod_are_added(part: str) -> None:
    fields = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
        "schedulerName": "volcano",
        "serviceAccountName": "reader",
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["models"]}],
    }
    assert spec_of(with_template(part, {"spec": fields}), part).items() >= fields.items()


@every_part
def test_labels_and_annotations_are_added_and_those_of_the_operator_stay(part: str) -> None:
    before = pods(SMALLEST)[part]["metadata"]
    name = next(iter(before["labels"]))
    metadata = {"labels": {"team": "food", name: "other"}, "annotations": {"note": "a"}}
    after = pods(with_template(part, {"metadata": metadata}))[part]["metadata"]
    assert after["labels"] == {**before["labels"], "team": "food"}
    # Only the hash of a model server's pods is another.
    assert after["annotations"].keys() == {*before.get("annotations", {}), "note"}
    assert after["annotations"]["note"] == "a"


@every_part
def test_volumes_mounts_and_variables_are_added_to_the_one_container(part: str) -> None:
    added = {
        "env": [{"name": "TZ", "value": "UTC"}],
        "envFrom": [{"secretRef": {"name": "keys"}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
    }
    volume = {"name": "ca", "configMap": {"name": "ca"}}
    template = {"spec": {"volumes": [volume], "containers": [{"name": CONTAINER[part], **added}]}}
    before, after = spec_of(SMALLEST, part), spec_of(with_template(part, template), part)
    assert after["volumes"] == [*before["volumes"], volume]
    [container] = after["containers"]
    [earlier] = before["containers"]
    for field, values in added.items():
        assert container[field] == [*earlier.get(field, []), *values]
    assert after.get("initContainers") == before.get("initContainers")


@every_part
def test_the_user_of_the_pods_can_be_left_to_the_cluster(part: str) -> None:
    context = spec_of(with_template(part, {"spec": {"securityContext": {}}}), part)["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@every_part
def test_a_security_context_is_merged_with_that_of_the_operator(part: str) -> None:
    before = spec_of(SMALLEST, part)["securityContext"]
    context = {"fsGroup": 2000, "runAsUser": 1000}
    after = spec_of(with_template(part, {"spec": {"securityContext": context}}), part)["securityContext"]
    assert after == {**before, **context}


def test_constraints_replace_those_of_the_operator_and_count_the_same_pods() -> None:
    own = {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    other = {**own, "topologyKey": "zone", "labelSelector": {"matchLabels": {"team": "food"}}}
    template = {"spec": {"topologySpreadConstraints": [own, other]}}
    before = spec_of(SMALLEST, "serving")["topologySpreadConstraints"][0]["labelSelector"]
    after = spec_of(with_template("serving", template), "serving")["topologySpreadConstraints"]
    assert after == [{**own, "labelSelector": before}, other]


def arguments(*flags: str) -> list[str]:
    """The arguments of a model server with a CPU limit, and with `flags` in its template."""
    template = {"spec": {"containers": [{"name": "model-server", "args": list(flags)}]}}
    serving = {"resources": {"limits": {"cpu": "2"}}, "template": template}
    found: list[str] = spec_of({**SMALLEST, "serving": serving}, "serving")["containers"][0]["args"]
    return found


def test_flags_of_the_model_server_are_added_and_replace_the_number_of_threads() -> None:
    assert arguments("--enable_profiler=false") == [*arguments(), "--enable_profiler=false"]
    added = "--tensorflow_intra_op_parallelism=7"
    assert [flag for flag in arguments(added) if "intra_op" in flag] == [added]


def test_verifications_have_the_template_of_the_gateway_unless_they_have_their_own() -> None:
    of_gateway = {"spec": {"nodeSelector": {"disk": "ssd"}}}
    body = with_template("gateway", of_gateway)
    assert spec_of(body, "verification")["nodeSelector"] == {"disk": "ssd"}
    assert "nodeSelector" not in spec_of({**body, "verification": {"template": {}}}, "verification")


def refusal(body: dict[str, Any]) -> str:
    with pytest.raises(InvalidSpec) as refused:
        render.refuse_template_conflicts(classifier(body), SETTINGS)
    return str(refused.value)


@every_part
def test_what_the_operator_uses_itself_is_refused(part: str) -> None:
    pod = spec_of(SMALLEST, part)
    container = pod["containers"][0]
    for volume in pod["volumes"]:
        template = {"spec": {"volumes": [{"name": volume["name"], "emptyDir": {}}]}}
        assert refusal(with_template(part, template)) == (
            f"spec.{part}.template.spec.volumes has {volume['name']}, which the operator uses itself. Use "
            "another name for the volume."
        )
    for field, key in (("volumeMounts", "mountPath"), ("env", "name")):
        for each in container.get(field, ()):
            added = {"name": CONTAINER[part], field: [{"name": "mine", key: each[key]}]}
            told = refusal(with_template(part, {"spec": {"containers": [added]}}))
            assert told.startswith(f"spec.{part}.template.spec.containers[0].{field} has {each[key]}, which")


def test_a_conflict_with_a_verification_names_the_template_of_the_gateway_that_it_has() -> None:
    plan = {"spec": {"volumes": [{"name": "plan", "emptyDir": {}}]}}
    assert refusal(with_template("gateway", plan)).startswith("spec.gateway.template.spec.volumes has plan")


def test_a_template_without_conflicts_is_taken() -> None:
    render.refuse_template_conflicts(classifier(SPECS["templates"]), SETTINGS)
