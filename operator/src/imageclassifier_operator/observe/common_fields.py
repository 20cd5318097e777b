"""Read the fields that API objects of all kinds have: conditions and times. Pure."""

from collections.abc import Iterable
from datetime import datetime

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
