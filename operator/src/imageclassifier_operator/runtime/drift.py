"""Drift detection: does a live object differ from its manifest, so that it must be applied again?

There are two reasons to apply. A field of the manifest has another value in the live object; fields that only
the live object has (defaults, injected containers) do not count, except in selectors, which are compared as a
whole. Or the live object's `managedFields` list a field under our field manager that the manifest no longer
has: an apply removes it. `added_fields` finds the fields that somebody added so that a child allows more.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.quantity import canonical

# Maps that the API treats as one value (`x-kubernetes-map-type: atomic`), and those below them: an additional
# key would select other pods.
_ATOMIC = frozenset(
    {"selector", "matchLabels", "podSelector", "namespaceSelector", "labelSelector", "nodeSelector"}
)

# The fields below which all strings are quantities. Elsewhere, as in an annotation, `0.5` is not `500m`.
_QUANTITIES = frozenset({"resources", "resourceFieldRef", "emptyDir"})

# The kinds whose whole spec is compared: in a NetworkPolicy an additional rule, port or peer allows more.
_WHOLE_KINDS = frozenset({"NetworkPolicy"})

# The keys by which the API merges the elements of a list (`x-kubernetes-list-map-keys`, in the order of its
# schema). Other lists are compared as a whole.
# https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
_LIST_KEYS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "volumes": (("name",),),
    "imagePullSecrets": (("name",),),
    "env": (("name",),),
    "volumeMounts": (("mountPath",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "ownerReferences": (("uid",),),
    "conditions": (("type",),),
    "traffic": (("version",),),
}


def needs_apply(wanted: Json, live: Json, field_manager: str, subresource: str | None = None) -> bool:
    """Whether applying `wanted` under `field_manager` would change `live`."""
    if wanted.get("kind") in _WHOLE_KINDS and not is_same(live.get("spec"), wanted.get("spec")):
        return True
    return not contains(live, wanted) or drops_owned_fields(wanted, live, field_manager, subresource)


def is_same(live: Any, wanted: Any) -> bool:
    """Whether two values are equal. An empty value equals a missing one, as the API drops it.

    >>> is_same({"a": [1], "b": {}}, {"a": [1]}), is_same({"a": [1], "b": [{}]}, {"a": [1]})
    (True, False)
    """
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return all(is_same(live.get(key), wanted.get(key)) for key in live.keys() | wanted.keys())
    if isinstance(live, list) and isinstance(wanted, list):
        return len(live) == len(wanted) and all(map(is_same, live, wanted))
    return bool(live == wanted or (not live and not wanted and None in (live, wanted)))


def contains(live: Any, wanted: Any, field: str = "", *, quantities: bool = False) -> bool:
    """Whether `live` has every value of `wanted`. An empty value equals a missing one, as the API drops it.

    `quantities`: strings are quantities, of which the API server may store another form.

    >>> contains({"a": {"b": 1}, "c": 2}, {"a": {"b": 1}}), contains({"n": [1, 2]}, {"n": [1]})
    (True, False)
    >>> contains({"resources": {"cpu": "500m"}}, {"resources": {"cpu": "0.5"}})
    True
    """
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return not wanted and live is None
        if field in _ATOMIC and any(value and key not in wanted for key, value in live.items()):
            return False
        quantities = quantities or field in _QUANTITIES
        return all(
            contains(live.get(key), value, key, quantities=quantities) for key, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(live, Sequence) or isinstance(live, str):
            return not wanted and live is None
        return _contains_list(live, wanted, field)
    if wanted == live or (not wanted and live is None):
        return True
    return quantities and _is_same_quantity(wanted, live)


def _contains_list(live: Sequence[Any], wanted: Sequence[Any], field: str) -> bool:
    keys = _keys_of(field, wanted)
    if keys is None:
        return len(live) == len(wanted) and all(
            contains(there, value) for there, value in zip(live, wanted, strict=True)
        )
    found = {
        tuple(element.get(key) for key in keys): element for element in live if isinstance(element, Mapping)
    }
    return all(contains(found.get(tuple(value.get(key) for key in keys)), value) for value in wanted)


def _keys_of(field: str, elements: Sequence[Any]) -> tuple[str, ...] | None:
    for keys in _LIST_KEYS.get(field, ()):
        if all(isinstance(element, Mapping) and keys[0] in element for element in elements):
            return keys
    return None


def _is_same_quantity(wanted: Any, live: Any) -> bool:
    if not isinstance(wanted, str) or not isinstance(live, str) or not wanted[:1].isdigit():
        return False
    try:
        return canonical(wanted) == canonical(live)
    except InvalidSpec:
        return False


def live_values(live: Any, wanted: Any, field: str = "") -> Any:
    """The values that `live` has in the fields of `wanted`, as `needs_apply` compares them.

    >>> live_values({"a": 1, "b": 2, "c": {"d": 3, "e": 4}}, {"a": 9, "c": {"d": 9}})
    {'a': 1, 'c': {'d': 3}}
    """
    if isinstance(wanted, Mapping) and isinstance(live, Mapping) and field not in _ATOMIC:
        values = {key: live_values(live.get(key), value, key) for key, value in wanted.items()}
        return {**values, "spec": live.get("spec")} if wanted.get("kind") in _WHOLE_KINDS else values
    keys = _keys_of(field, wanted) if isinstance(wanted, list) else None
    if keys is None or not isinstance(live, list):
        return live
    found = {tuple(each.get(key) for key in keys): each for each in live if isinstance(each, Mapping)}
    return [live_values(found.get(tuple(each.get(key) for key in keys)), each) for each in wanted]


def owns(live: Json, field_manager: str, *path: str) -> bool:
    """Whether `field_manager` owns the field at `path` of `live`, by an apply or by its creation."""
    for entry in live["metadata"].get("managedFields") or ():
        if (entry.get("manager"), entry.get("subresource")) != (field_manager, None):
            continue
        fields: Any = entry.get("fieldsV1") or {}
        for name in path:
            fields = fields.get(f"f:{name}") if isinstance(fields, Mapping) else None
        if fields is not None:
            return True
    return False


def drops_owned_fields(wanted: Json, live: Json, field_manager: str, subresource: str | None = None) -> bool:
    """Whether `field_manager` owns a field of `live` by apply that `wanted` does not have."""
    for entry in live["metadata"].get("managedFields") or ():
        if (
            entry.get("manager") == field_manager
            and entry.get("operation") == "Apply"
            and entry.get("subresource") == subresource
        ):
            return not _covers(wanted, entry.get("fieldsV1") or {})
    return False


def _covers(wanted: Any, owned: Json) -> bool:
    """Whether `wanted` has every field of `owned`, a set in the form FieldsV1.

    `f:name` is a field, `k:{...}` a list element by its keys, `v:...` an element of a set, `.` the value
    itself.
    """
    for path, below in owned.items():
        if path == ".":
            continue
        marker, _, rest = path.partition(":")
        if marker == "f":
            if not isinstance(wanted, Mapping) or rest not in wanted:
                return False
            if not _covers(wanted[rest], below):
                return False
        elif marker == "k":
            keys = json.loads(rest)
            elements = wanted if isinstance(wanted, Sequence) else ()
            match = [
                element
                for element in elements
                if isinstance(element, Mapping) and all(element.get(k, v) == v for k, v in keys.items())
            ]
            if not match or not _covers(match[0], below):
                return False
        elif marker == "v" and (not isinstance(wanted, Sequence) or json.loads(rest) not in wanted):
            return False
    return True
