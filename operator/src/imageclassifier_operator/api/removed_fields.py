"""Fields that an earlier release had, and the fields that replace them.

The CRD declares them, so that the API server refuses them with the new name, and does not drop them
silently. The operator checks them as well, because a stored object may be older than the CRD's rule.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.json import Json

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
}
"""The path below `spec` of each removed field, and that of its replacement."""


def refuse_removed_fields(spec: Json) -> None:
    """Raise InvalidSpec for the first removed field in `spec`."""
    for path, replacement in REMOVED_FIELDS.items():
        if any(True for _ in _values(spec, path.split("."))):
            raise InvalidSpec(
                f"spec.{path} is now spec.{replacement}. Move the value there; docs/reference.md shows its "
                "form."
            )


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
