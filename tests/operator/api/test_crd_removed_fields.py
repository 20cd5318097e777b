"""`kubectl apply` of a field that an earlier version of the CRD had names the field that replaces it."""

import json
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from crd_objects import IMAGE, LEGACY, manifest
from imageclassifier_operator.api.removed_fields import REMOVED_FIELDS

pytestmark = pytest.mark.apiserver


OLD_SPELLINGS: dict[str, tuple[dict[str, Any], str]] = {
    "model.image": (
        {"model": {"version": 1, "image": "pizza-model:1"}},
        "spec.model.image: Forbidden: image is now source.image.reference. Move the value there.",
    ),
    "model.imagePullPolicy": (
        {"model": {**IMAGE, "imagePullPolicy": "Always"}},
        "spec.model.imagePullPolicy: Forbidden: imagePullPolicy is now source.image.pullPolicy.",
    ),
    "model.imagePullSecrets": (
        {"model": {**IMAGE, "imagePullSecrets": [{"name": "a"}]}},
        "spec.model.imagePullSecrets: Forbidden: imagePullSecrets is now source.image.pullSecrets",
    ),
    "model.persistentVolumeClaim": (
        {"model": {"version": 1, "persistentVolumeClaim": {"claimName": "a", "path": "b"}}},
        "spec.model.persistentVolumeClaim: Forbidden: persistentVolumeClaim is now "
        "source.persistentVolumeClaim.",
    ),
    "threshold": (
        {**LEGACY, "threshold": 0.5},
        "spec.threshold: Forbidden: threshold is now output.threshold, a percentage: write 0.5 as "
        "output.threshold: 50%.",
    ),
    "input.scale": (
        {**LEGACY, "input": {"height": 8, "width": 8, "dtype": "float32", "scale": 0.5}},
        "spec.input.scale: Forbidden: scale is now rescaling.scale, a fraction or a decimal number as a "
        "string",
    ),
    "input.offset": (
        {**LEGACY, "input": {"height": 8, "width": 8, "dtype": "float32", "offset": -1}},
        "spec.input.offset: Forbidden: offset is now rescaling.offset. Move the value there.",
    ),
    "rollout.pause": (
        {"rollout": {"pause": True}},
        "spec.rollout.pause: Forbidden: pause is now paused. Move the value there.",
    ),
    "rollout.acceptance.cases[].minProbability": (
        {
            "rollout": {
                "acceptance": {
                    "cases": [
                        {"name": "a", "label": "b", "minProbability": 0.6, "picture": {"base64": "AAAA"}}
                    ]
                }
            }
        },
        "spec.rollout.acceptance.cases[0].minProbability: Forbidden: minProbability is now "
        "minProbabilityPercent: write 0.6 as 60.",
    ),
    "rollout.shadow.minAgreement": (
        {"rollout": {"shadow": {"percent": 5, "minAgreement": 0.98}}},
        "spec.rollout.shadow.minAgreement: Forbidden: minAgreement is now minAgreementRate, a percentage: "
        "write 0.98 as 98%.",
    ),
    "rollout.limits.errorRate": (
        {"rollout": {"limits": {"errorRate": 0.02}}},
        "spec.rollout.limits.errorRate: Forbidden: errorRate is now errorRateIncrease, a percentage: "
        "write 0.02 as 2%.",
    ),
    "serving.nodeSelector": (
        {"serving": {"nodeSelector": {"disk": "ssd"}}},
        "spec.serving.nodeSelector: Forbidden: nodeSelector is now template.spec.nodeSelector.",
    ),
    "serving.tolerations": (
        {"serving": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}},
        "spec.serving.tolerations: Forbidden: tolerations is now template.spec.tolerations.",
    ),
    "serving.affinity": (
        {"serving": {"affinity": {"podAntiAffinity": {}}}},
        "spec.serving.affinity: Forbidden: affinity is now template.spec.affinity.",
    ),
    "serving.priorityClassName": (
        {"serving": {"priorityClassName": "high"}},
        "spec.serving.priorityClassName: Forbidden: priorityClassName is now "
        "template.spec.priorityClassName.",
    ),
}


@pytest.mark.parametrize("path", REMOVED_FIELDS)
def test_kubectl_apply_of_an_old_spelling_names_the_new_one(
    api: ControlPlane, namespace: str, path: str
) -> None:
    spec, sentence = OLD_SPELLINGS[path]
    with pytest.raises(RuntimeError) as refusal:
        api.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest(**spec)))
    told = str(refusal.value)
    assert sentence in told
    assert "* " not in told  # this is the only error


def test_removed_fields_that_an_earlier_crd_added_by_itself_are_accepted(
    api: ControlPlane, namespace: str
) -> None:
    spec = {
        **LEGACY,
        "input": {"height": 8, "width": 8, "scale": 1, "offset": 0},
        "rollout": {"pause": False, "limits": {"errorRate": 0.01}},
    }
    api.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest(**spec)))
