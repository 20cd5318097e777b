"""The labelled data set in the verification: its pod, its plan and its network policy."""

import json
from pathlib import Path
from typing import Any

import pytest

from imageclassifier_gateway.verify.plan import parse_plan
from imageclassifier_operator import api, render
from imageclassifier_operator.render import verification_plan
from rendered import SETTINGS

IMAGE = {"image": {"reference": "pizza-test-set:3", "pullSecrets": [{"name": "sets"}]}}
CLAIM = {"persistentVolumeClaim": {"claimName": "pictures", "path": "pizza/test"}}
CONFIG_MAPS = {
    "configMaps": [
        {"name": "pizza-1", "label": "pizza"},
        {"name": "pizza-2", "label": "pizza"},
        {"name": "others", "label": "not_pizza"},
    ]
}


def classifier(source: dict[str, Any] | None, **dataset: Any) -> api.ImageClassifier:
    acceptance = {} if source is None else {"dataset": {"source": source, **dataset}}
    return api.parse(
        {
            "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 1},
            "spec": {
                "model": {"version": 2, "source": {"image": {"reference": "pizza:{version}"}}},
                "rollout": {"acceptance": acceptance},
            },
        }
    )


def job(ic: api.ImageClassifier) -> dict[str, Any]:
    *_, job = render.verify_job(ic, ic.candidate("tf"), "{}", "attempt", SETTINGS)
    return dict(job["spec"])


def plan(ic: api.ImageClassifier) -> dict[str, Any]:
    return dict(json.loads(verification_plan.plan(ic, ic.candidate("tf"), None)))


@pytest.mark.parametrize("source", [IMAGE, CLAIM, CONFIG_MAPS], ids=["image", "claim", "config maps"])
def test_the_program_finds_the_pictures_where_the_pod_mounts_them(source: dict[str, Any]) -> None:
    ic = classifier(source)
    pod = job(ic)["template"]["spec"]
    [container] = pod["containers"]
    mounted = {Path(m["mountPath"]): m["name"] for m in container["volumeMounts"] if m.get("readOnly")}
    dataset = parse_plan(plan(ic)).dataset
    assert dataset is not None
    volumes = {volume["name"] for volume in pod["volumes"]}
    for path in [folder.path for folder in dataset.folders] or [dataset.root]:
        assert path is not None
        assert {mounted.get(each) for each in (path, *path.parents)} & volumes


def test_the_class_of_each_config_map_is_in_the_plan() -> None:
    folders = parse_plan(plan(classifier(CONFIG_MAPS))).dataset.folders  # type: ignore[union-attr]
    assert [(folder.label, folder.path.name) for folder in folders] == [
        ("pizza", "pizza-1"),
        ("pizza", "pizza-2"),
        ("not_pizza", "others"),
    ]


def test_the_class_folders_of_an_image_are_copied_with_its_own_cp() -> None:
    pod = job(classifier(IMAGE))["template"]["spec"]
    [init] = pod["initContainers"]
    assert (init["image"], init["command"]) == (
        "pizza-test-set:3",
        ["cp", "-R", "/dataset/.", "/dataset-copy/"],
    )
    assert pod["imagePullSecrets"] == [{"name": "sets"}]


def test_the_rules_of_the_spec_reach_the_program() -> None:
    ic = classifier(
        CLAIM, significancePercent=2, minAccuracyPercent=95, maxUnreadablePercent=0, timeoutSeconds=7200
    )
    found = parse_plan(plan(ic))
    assert found.dataset is not None
    assert found.dataset.root == Path("/etc/imageclassifier/dataset/pizza/test")
    assert found.dataset.rules.significance_percent == 2
    assert found.dataset.rules.min_accuracy_percent == 95
    assert found.dataset.max_unreadable_percent == 0


def test_every_deadline_grows_with_the_timeout_of_the_data_set() -> None:
    without, ic = classifier(None), classifier(CLAIM, timeoutSeconds=7200)
    for deadline in (
        lambda ic: job(ic)["activeDeadlineSeconds"],
        lambda ic: plan(ic)["deadline_seconds"],
        lambda ic: ic.rollout.verification_deadline_seconds,
    ):
        assert deadline(ic) == deadline(without) + 7200


def test_only_the_operator_may_ask_a_verification_for_its_progress() -> None:
    def ingress(ic: api.ImageClassifier) -> list[dict[str, Any]]:
        [policy] = [
            child
            for child in render.shared_children(ic, SETTINGS)
            if (child["kind"], child["metadata"]["name"]) == ("NetworkPolicy", "pizza-verify")
        ]
        return list(policy["spec"]["ingress"])

    assert ingress(classifier(None)) == []
    [rule] = ingress(classifier(CLAIM))
    [peer] = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": SETTINGS.operator_namespace
    }
    [container] = job(classifier(CLAIM))["template"]["spec"]["containers"]
    assert [port["port"] for port in rule["ports"]] == [port["containerPort"] for port in container["ports"]]


def test_a_job_without_a_data_set_is_as_before() -> None:
    pod = job(classifier(None))["template"]["spec"]
    assert "initContainers" not in pod
    assert "ports" not in pod["containers"][0]


@pytest.mark.parametrize("source", [{}, IMAGE | CLAIM, CLAIM | CONFIG_MAPS], ids=["none", "two", "two more"])
def test_a_data_set_needs_exactly_one_source(source: dict[str, Any]) -> None:
    with pytest.raises(api.InvalidSpec, match=r"dataset\.source has no source, or several"):
        classifier(source)
