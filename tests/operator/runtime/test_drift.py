"""Drift: what counts as a difference between a manifest and the live object."""

import json

import pytest

from imageclassifier_operator.runtime.drift import contains, live_values, needs_apply


def test_defaults_and_injected_containers_are_left_alone():
    wanted = {"spec": {"containers": [{"name": "a", "image": "i"}]}}
    live = {"spec": {"containers": [{"name": "sidecar"}, {"name": "a", "image": "i", "tty": False}], "x": 1}}
    assert contains(live, wanted)


@pytest.mark.parametrize(
    "live",
    [
        {"spec": {"containers": [{"name": "a", "image": "other"}]}},
        {"spec": {"containers": [{"name": "b", "image": "i"}]}},
        {"spec": {}},
    ],
)
def test_a_foreign_edit_is_detected(live):
    assert not contains(live, {"spec": {"containers": [{"name": "a", "image": "i"}]}})


@pytest.mark.parametrize("of", [{"selector": {}}, {"podSelector": {"matchLabels": {}}}])
def test_a_selector_is_compared_as_a_whole(of):
    """One key more selects other pods, or none."""
    wanted, live = json.loads(json.dumps([of, of]).replace("{}", '{"app": "pizza"}'))
    assert contains({"spec": live}, {"spec": wanted})
    live = json.loads(json.dumps(live).replace('"pizza"', '"pizza", "foo": "bar"'))
    assert not contains({"spec": live}, {"spec": wanted})


def test_a_paused_deployment_is_detected():
    wanted = {"spec": {"paused": False}}
    assert contains({"spec": {}}, wanted)
    assert not contains({"spec": {"paused": True}}, wanted)


def test_a_field_that_is_not_rendered_any_more_is_removed():
    owned = {"f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}}}}
    entry = {"manager": "us", "operation": "Apply", "fieldsV1": owned}
    live = {
        "metadata": {"managedFields": [entry]},
        "spec": {"replicas": 1, "containers": [{"name": "a", "image": "i"}]},
    }
    full = {"spec": {"replicas": 1, "containers": [{"name": "a", "image": "i"}]}}
    assert not needs_apply(full, live, "us")
    assert needs_apply({"spec": {"containers": [{"name": "a", "image": "i"}]}}, live, "us")
    assert needs_apply({"spec": {"replicas": 1, "containers": [{"name": "a"}]}}, live, "us")
    assert not needs_apply({"spec": {"replicas": 1}}, live, "someone-else")


POLICY = {
    "kind": "NetworkPolicy",
    "metadata": {"name": "pizza-serving"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "pizza"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 8500, "protocol": "TCP"}]}],
        "egress": [],
    },
}
RULE = POLICY["spec"]["ingress"][0]


@pytest.mark.parametrize(
    "opened",
    [
        {"egress": [{}]},
        {"ingress": [RULE, {}]},
        {"ingress": [{**RULE, "ports": [*RULE["ports"], {"port": 22, "protocol": "TCP"}]}]},
        {"ingress": [{**RULE, "ports": [{**RULE["ports"][0], "endPort": 9000}]}]},
        {"ingress": [{**RULE, "ports": []}]},
        {"ingress": [{**RULE, "from": [*RULE["from"], {"ipBlock": {"cidr": "0.0.0.0/0"}}]}]},
        {"policyTypes": ["Ingress"]},
    ],
)
def test_a_network_policy_that_allows_more_than_its_manifest_is_a_difference(opened):
    stored = {**POLICY["spec"]}
    del stored["egress"]  # the API server drops an empty list
    assert not needs_apply(POLICY, {**POLICY, "spec": stored}, "us")
    assert needs_apply(POLICY, {**POLICY, "spec": {**stored, **opened}}, "us")


def test_values_in_the_place_of_a_manifest_are_all_that_a_comparison_depends_on() -> None:
    wanted = {
        "spec": {
            "selector": {"app": "pizza"},
            "containers": [{"name": "a", "image": "a:1", "args": ["-x"]}],
        }
    }
    live = {
        "spec": {
            "replicas": 2,
            "selector": {"app": "pizza", "more": "1"},
            "containers": [
                {"name": "sidecar", "image": "b:1"},
                {"name": "a", "image": "mirror/a:1", "args": ["-x"], "tty": True},
            ],
        },
        "status": {"replicas": 2},
    }
    assert live_values(live, wanted) == {
        "spec": {
            "selector": {"app": "pizza", "more": "1"},
            "containers": [{"name": "a", "image": "mirror/a:1", "args": ["-x"]}],
        }
    }
    assert live_values({"spec": {"selector": None}}, wanted) == {
        "spec": {"selector": None, "containers": None}
    }


def test_an_added_rule_of_a_network_policy_is_part_of_its_values() -> None:
    only_egress = {**POLICY, "spec": {"policyTypes": ["Egress"], "egress": [{}]}}
    opened = {**only_egress, "spec": {**only_egress["spec"], "ingress": [{}]}}
    live = {**opened, "metadata": {"name": "pizza-serving", "resourceVersion": "7"}}
    assert live_values(live, only_egress) == opened


def test_only_resources_hold_quantities() -> None:
    """In an annotation of a Service, `1` is another value than `1000m`."""
    for live, wanted in (("1000m", "1"), ("500m", "0.5")):
        resources = {"resources": {"limits": {"cpu": live}}}
        assert contains(resources, {"resources": {"limits": {"cpu": wanted}}})
        annotations = {"metadata": {"annotations": {"a": live}}}
        assert not contains(annotations, {"metadata": {"annotations": {"a": wanted}}})
    assert contains({"emptyDir": {"sizeLimit": "1Gi"}}, {"emptyDir": {"sizeLimit": "1024Mi"}})
