"""Why a child cannot be written, as messages for users: a name conflict, a quota, a refusal."""

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import Kind
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.log_excerpts import one_line
from imageclassifier_operator.observe.objects import controller
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.render import Owner
from imageclassifier_operator.runtime.api_error import ApiError

MAX_REFUSAL_CHARACTERS = 500


def conflict(kind: Kind, live: Json, ic: Owner) -> Problem:
    """An object that is not a child of `ic` already has the name of a child."""
    owner, name = controller(live), live["metadata"]["name"]
    if owner is None:
        whose = "has no owner"
    elif owner["kind"] == names.KIND and owner["name"] == ic.name:
        whose = "belongs to a deleted ImageClassifier of the same name and will be removed soon"
    else:
        whose = f"belongs to {owner['kind']} {owner['name']}"
    return Problem(
        Reason.CONFLICT,
        f"{kind.kind} {name} already exists and {whose}. "
        "Delete or rename it, or give the ImageClassifier another name.",
    )


def missing_kind(manifest: Json) -> Problem:
    """The cluster does not have the kind of a child."""
    return Problem(
        Reason.API_REFUSED,
        f"The cluster has no {manifest['kind']} ({manifest['apiVersion']}). Install the CRDs of the Gateway "
        "API and one of its controllers, or remove spec.gateway.httpRoute and use spec.gateway.ingress.",
    )


def refusal(manifest: Json, error: ApiError) -> Problem:
    """The API server refuses a child."""
    what = f"{manifest['kind']} {manifest['metadata']['name']}"
    message = f"The API server refuses {what}: {one_line(error.message, MAX_REFUSAL_CHARACTERS)}."
    if "exceeded quota" in error.message:
        return Problem(
            Reason.QUOTA_EXCEEDED, f"{message} Raise the quota, or delete objects that you do not need."
        )
    return Problem(
        Reason.API_REFUSED, f"{message} Correct the field in the spec, or ask the owner of the policy."
    )
