"""kubectl scales ImageClassifiers, shows their columns, and explains their fields."""

from typing import Any

import pytest

from bare_apiserver import ControlPlane
from crd_objects import API_VERSION, IMAGE, Apply

pytestmark = pytest.mark.apiserver


def test_an_autoscaler_can_scale_it_and_find_its_pods(
    api: ControlPlane, namespace: str, apply: Apply, set_status: Any
) -> None:
    apply()
    set_status({"replicas": 1, "selector": "a=b"})
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/imageclassifiers/pizza/scale"
    scale = api.request("GET", path)
    assert (scale["spec"]["replicas"], scale["status"]) == (1, {"replicas": 1, "selector": "a=b"})
    api.kubectl("scale", "imageclassifier/pizza", "--replicas=3", "-n", namespace)
    assert api.request("GET", path)["spec"]["replicas"] == 3


def test_scaling_to_zero_is_refused_with_the_field_that_stops_a_classifier(
    api: ControlPlane, namespace: str, apply: Apply
) -> None:
    apply()
    with pytest.raises(RuntimeError, match=r"set spec\.stopped to true"):
        api.kubectl("scale", "imageclassifier/pizza", "--replicas=0", "-n", namespace)
    apply(stopped=True)


def test_get_shows_the_columns_of_the_design(
    api: ControlPlane, namespace: str, apply: Apply, set_status: Any
) -> None:
    apply(model={**IMAGE, "version": 2})
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "Shifting",
        "message": "Version 2 gets 10 % of the traffic.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    set_status(
        {
            "servingVersion": 1,
            "candidateVersion": 2,
            "candidatePercent": 10,
            "phase": "Shift",
            "access": "APIKey",
            "replicas": 3,
            "url": "http://pizza.example.org",
            "conditions": [condition],
        }
    )
    header, row = api.kubectl("get", "ic", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "VERSION", "SERVING", "READY", "REASON", "REPLICAS", "URL", "AGE"]
    assert row.split()[:-1] == ["pizza", "2", "1", "False", "Shifting", "3", "http://pizza.example.org"]
    header, row = api.kubectl("get", "imgc", "-n", namespace, "-o", "wide").splitlines()
    assert header.split() == (
        [
            "NAME",
            "VERSION",
            "SERVING",
            "READY",
            "REASON",
            "REPLICAS",
            "URL",
            "CANDIDATE",
            "SHARE",
            "PHASE",
            "ACCESS",
            "MESSAGE",
            "AGE",
        ]
    )
    assert "2 10 Shift APIKey Version 2 gets 10 % of the traffic." in " ".join(row.split())


def test_explain_reads_like_documentation(api: ControlPlane) -> None:
    text = " ".join(api.kubectl("explain", "imageclassifier.spec.model").split())
    assert "To roll out a version, change only the version; to roll back, restore it." in text
