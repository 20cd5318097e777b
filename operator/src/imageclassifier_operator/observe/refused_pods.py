"""Pods that a quota, a LimitRange or a policy refuses, with the field to change. Pure.

Kubernetes names its own objects and resources. A user of an ImageClassifier changes fields of the spec.
"""

import re
from collections.abc import Iterable

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.common_fields import part_of_spec
from imageclassifier_operator.observe.log_excerpts import one_line
from imageclassifier_operator.observe.types import Problem

# plugin/pkg/admission/resourcequota: "failed quota: small: must specify limits.cpu for: model-server" and
# "exceeded quota: small, requested: limits.cpu=2,pods=1, used: limits.cpu=1, limited: limits.cpu=2".
_MUST_SPECIFY = re.compile(r"must specify (?P<names>\S+) for")
_EXCEEDED = re.compile(r"exceeded quota: [^,]+, requested: (?P<amounts>\S+?),? used")
# plugin/pkg/admission/limitranger: "maximum cpu usage per Container is 1, but limit is 2" and "cpu max limit
# to request ratio per Container is 2, but provided ratio is 10.000000".
_BOUND = re.compile(
    r"(?P<bound>maximum|minimum) (?P<name>\S+) usage per (?P<what>Container|Pod) is (?P<value>\S+?)[.,](\s|$)"
)
_RATIO = re.compile(
    r"(?P<name>\S+) max limit to request ratio per (Container|Pod) is (?P<value>\S+?)[.,](\s|$)"
)


def refused(owner: Json, message: str | None) -> Problem:
    """The problem of a Deployment or Job whose pods are refused with this message."""
    text = re.sub(r'^.*?is forbidden: |^pods "[^"]*" ', "", message or "")
    # Verifications have the resources of the gateway.
    resources = f"spec.{'serving' if part_of_spec(owner) == 'serving' else 'gateway'}.resources"
    name = f"{owner.get('kind', 'Deployment')} {owner['metadata']['name']}"
    what = f"{name} cannot create its pods: {one_line(text)}."
    advice = _advice(text, resources)
    if advice is not None:
        return Problem(Reason.QUOTA_EXCEEDED, f"{what} {advice}")
    return Problem(Reason.ADMISSION_REFUSED, f"{what} Change the spec, or ask the owner of the policy.")


def _advice(text: str, resources: str) -> str | None:
    """What to change so that a quota or LimitRange admits the pods; None if it is neither."""
    if (found := _MUST_SPECIFY.search(text)) is not None:
        fields = _fields(found["names"].split(","), resources)
        return f"Set {fields}: the quota requires it of every container."
    if (found := _EXCEEDED.search(text)) is not None:
        asked = [amount.split("=")[0] for amount in found["amounts"].split(",")]
        fields = _fields([name for name in asked if _is_amount(name)], resources)
        lower = f"lower {fields}" if fields else "use fewer replicas"
        return f"Raise the quota, or {lower}. A rollout needs room for the pods of two versions."
    if (found := _RATIO.search(text)) is not None:
        limit, request = f"{resources}.limits.{found['name']}", f"{resources}.requests.{found['name']}"
        return f"Set {limit} to at most {found['value']} times {request}."
    if (found := _BOUND.search(text)) is not None:
        if found["bound"] == "maximum":
            return f"Set {resources}.limits.{found['name']} to at most {found['value']}."
        return f"Set {resources}.requests.{found['name']} to at least {found['value']}."
    return "Raise the quota, or request less." if "quota" in text else None


def _is_amount(name: str) -> bool:
    """Whether a resource of a quota is an amount of a container, and not a number of objects."""
    return name.split(".")[0] in ("limits", "requests", "cpu", "memory", "ephemeral-storage")


def _fields(resource_names: Iterable[str], resources: str) -> str:
    """The fields of the spec for resources of a quota, in which `cpu` means the requests.

    >>> _fields(["limits.cpu", "memory"], "spec.serving.resources")
    'spec.serving.resources.limits.cpu and spec.serving.resources.requests.memory'
    """
    full = [
        name if name.startswith(("limits.", "requests.")) else f"requests.{name}" for name in resource_names
    ]
    return " and ".join(dict.fromkeys(f"{resources}.{name}" for name in full))
