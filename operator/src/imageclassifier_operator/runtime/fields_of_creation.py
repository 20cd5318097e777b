"""The fields that our POST of a child created, which an apply would not remove. Pure.

The API server tells the fields of a create apart from those of an apply, although the manager is the same.
"""

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import FIELD_MANAGER


def has_fields_of_creation(live: Json) -> bool:
    """Whether the API server lists fields as ours because of our POST, not of an apply."""
    return any(map(_is_of_creation, live["metadata"].get("managedFields") or ()))


def claim(live: Json) -> Json:
    """The JSON patch operation that makes the created fields of `live` fields of our applies."""
    fields = live["metadata"]["managedFields"]
    created = next(index for index, entry in enumerate(fields) if _is_of_creation(entry))
    path = f"/metadata/managedFields/{created}"
    if any(entry.get("manager") == FIELD_MANAGER and entry["operation"] == "Apply" for entry in fields):
        return {"op": "remove", "path": path}
    return {"op": "replace", "path": f"{path}/operation", "value": "Apply"}


def _is_of_creation(entry: Json) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource")) == (
        FIELD_MANAGER,
        "Update",
        None,
    )
