"""Fields that an earlier release had, and the fields that replace them.

The CRD declares them, so that the API server refuses them with the new name, and does not drop them
silently. The operator checks them as well, because a stored object may be older than the CRD's rule.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.json import Json

_MOVED_TO_TEMPLATE = ("nodeSelector", "tolerations", "affinity", "priorityClassName")

REMOVED_FIELDS: Mapping[str, str] = {
    "model.image": "model.source.image.reference",
    "model.imagePullPolicy": "model.source.image.pullPolicy",
    "model.imagePullSecrets": "model.source.image.pullSecrets",
    "model.persistentVolumeClaim": "model.source.persistentVolumeClaim",
    "threshold": "output.threshold",
    "input.scale": "input.rescaling.scale",
    "input.offset": "input.rescaling.offset",
    "rollout.pause": "rollout.paused",
    "rollout.acceptance.cases[].minProbability": "rollout.acceptance.cases[].minProbabilityPercent",
    "rollout.shadow.minAgreement": "rollout.shadow.minAgreementRate",
    "rollout.limits.errorRate": "rollout.limits.errorRateIncrease",
    **{f"serving.{name}": f"serving.template.spec.{name}" for name in _MOVED_TO_TEMPLATE},
}
"""The path below `spec` of each removed field, and that of its replacement."""


EARLIER_DEFAULTS: Mapping[str, Any] = {
    "input.scale": 1,
    "input.offset": 0,
    "rollout.pause": False,
    "rollout.limits.errorRate": 0.01,
}
"""The removed fields that the API server added to each object, with their value.

They mean the same as the defaults of the new fields. Objects still have them after `kubectl apply` of a
manifest that never had them.
"""


def refuse_removed_fields(spec: Json) -> None:
    """Raise InvalidSpec for the first removed field in `spec`, unless it has its earlier default."""
    for path, replacement in REMOVED_FIELDS.items():
        default = EARLIER_DEFAULTS.get(path)
        if any(value != default for value in _values(spec, path.split("."))):
            raise InvalidSpec(
                f"spec.{path} is now spec.{replacement}. Move the value there; docs/reference.md shows its "
                "form."
            )


def with_present_limits(rollout: Json) -> dict[str, Any]:
    """`spec.rollout` with the limits of the analysis under their present names.

    A version that is under analysis when the operator is upgraded keeps its limits until the spec is valid.

    >>> with_present_limits({"limits": {"errorRate": 0.2, "errorRateIncrease": "1%"}})["limits"]
    {'errorRate': 0.2, 'errorRateIncrease': '20.0%'}
    """
    result = dict(rollout)
    for path, share, percentage in (
        ("limits", "errorRate", "errorRateIncrease"),
        ("shadow", "minAgreement", "minAgreementRate"),
    ):
        value = (rollout.get(path) or {}).get(share)
        if value is not None and value != EARLIER_DEFAULTS.get(f"rollout.{path}.{share}"):
            result[path] = {**rollout[path], percentage: f"{Decimal(str(value)) * 100:f}%"}
    return result


def with_present_template(serving: Json) -> dict[str, Any]:
    """A stored `spec.serving` with the fields of its pods under their present names.

    A version that an earlier release has stored keeps its pods as they are.

    >>> with_present_template({"image": None, "nodeSelector": {"disk": "ssd"}, "tolerations": []})
    {'image': None, 'template': {'spec': {'nodeSelector': {'disk': 'ssd'}}}}
    """
    moved = {name: serving[name] for name in _MOVED_TO_TEMPLATE if serving.get(name)}
    rest = {name: value for name, value in serving.items() if name not in _MOVED_TO_TEMPLATE}
    return {**rest, "template": {"spec": moved}} if moved else rest


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    """The values at `path` below `value`. A name that ends in [] stands for every item of a list."""
    if not path:
        yield value
        return
    name = path[0].removesuffix("[]")
    if not isinstance(value, Mapping) or name not in value:
        return
    found = value[name]
    for item in found if path[0].endswith("[]") else [found]:
        yield from _values(item, path[1:])
