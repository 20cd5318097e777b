"""Read the fields that API objects of all kinds have: conditions, times and our labels. Pure."""

from collections.abc import Iterable
from datetime import datetime

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json


def condition(of: Json, kind: str, status: str) -> Json | None:
    """The condition of this type in the status of an object; None if it has another status or is missing."""
    conditions: Iterable[Json] = (of.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind and c["status"] == status), None)


def epoch_seconds(time: str) -> float:
    """A time as the API server writes it (RFC 3339), in seconds since the epoch.

    >>> epoch_seconds("1970-01-01T00:01:00Z")
    60.0
    """
    return datetime.fromisoformat(time).timestamp()


def part_of_spec(labelled: Json) -> str:
    """The part of the spec with the template of a pod, or of the pods of a Deployment or Job.

    >>> part_of_spec({"metadata": {"labels": {"app.kubernetes.io/component": "verify"}}})
    'verification'
    """
    labels: Json = labelled["metadata"].get("labels") or {}
    component = str(labels.get(names.LABEL_COMPONENT, "serving"))
    return "verification" if component == "verify" else component
