"""The schemas of the stored state: documents of earlier releases in the form of this one. Pure.

Schema 1 has some fields under earlier names, or already under the present ones. An earlier name also means
that the attempts are hashes as only that release computed them.
"""

from typing import Any

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.reference import Reference

SCHEMA = 2

_RENAMED = {"goneSince": "unavailableSince", "pausedSince": "clockStoppedSince"}


def upgraded(document: Json) -> dict[str, Any]:
    """A stored state in schema 2. Raises ValueError for a schema that this operator does not know."""
    schema = document["schema"]
    if schema == SCHEMA:
        return dict(document)
    if schema != 1:
        raise ValueError(f"the rollout state has schema {schema}; this operator reads schemas 1 and {SCHEMA}")
    renamed = {_RENAMED.get(key, key): value for key, value in document.items()}
    has_earlier_names = not _RENAMED.keys().isdisjoint(document)
    added = {"earlierAttempts": has_earlier_names, "reference": _reference(document)}
    return {**added, **renamed, "schema": SCHEMA}


def _reference(document: Json) -> dict[str, Any]:
    """The reference, which was not stored at first: from what gateways had counted when Settle began."""
    previous, windows = document["previous"], [Window()]
    if previous is not None:
        readings = (reading.get(str(previous["version"])) for reading in document["baseline"].values())
        windows += [Window.from_json(reading) for reading in readings if reading is not None]
    return Reference(older=sum(windows[1:], windows[0])).to_json()
