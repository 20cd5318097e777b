"""Find the fields that somebody added to a child and that allow more than its manifest does.

A server-side apply overwrites the fields that it has and leaves all others alone. That is right for defaults,
injected containers and labels. The fields that this module finds must be removed by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imageclassifier_operator.api.json import Json

# The fields that give a pod or its clients more than the manifest does.
_GRANTING_FIELDS = frozenset(
    {
        "externalIPs",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostPort",
        "publishNotReadyAddresses",
        "serviceAccountName",
    }
)

# An apply that drops `serviceAccountName` does not remove it: the API server takes its value from the earlier
# name of the field, which it fills in by itself.
_EARLIER_NAMES = {"serviceAccount": "serviceAccountName"}

# The kinds to check. Drift detection compares the whole spec of a NetworkPolicy anyway.
_KINDS = frozenset({"Deployment", "Service"})

# In these maps every added field counts: a container's `runAsUser` overrides that of its pod.
_STRICT_MAPS = frozenset({"capabilities", "securityContext"})


def added_fields(wanted: Json, live: Json) -> tuple[str, ...]:
    """The JSON pointers of all such fields in `live`, in an order in which they can be removed.

    >>> wanted = {"kind": "Service", "spec": {"ports": [{"port": 80}]}}
    >>> added_fields(wanted, {"spec": {"ports": [{"port": 80}, {"port": 22}], "externalIPs": ["192.0.2.1"]}})
    ('/spec/ports/1', '/spec/externalIPs')
    """
    if wanted["kind"] not in _KINDS:
        return ()
    return tuple(_in_map(live.get("spec") or {}, wanted.get("spec") or {}, "/spec", "spec"))


def _in_map(live: Json, wanted: Json, path: str, field: str) -> Iterator[str]:
    for name, value in live.items():
        if name in wanted:
            yield from _in_value(value, wanted[name], f"{path}/{name}", name)
        elif (present := _EARLIER_NAMES.get(name)) is not None:
            if present not in wanted:
                yield f"{path}/{name}"
        elif name in _GRANTING_FIELDS or field in _STRICT_MAPS:
            yield f"{path}/{name}"


def _in_value(live: Any, wanted: Any, path: str, field: str) -> Iterator[str]:
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        yield from _in_map(live, wanted, path, field)
    elif isinstance(live, list) and isinstance(wanted, Sequence):
        # From the end, as each removal moves the elements behind it.
        for index, element in reversed(list(enumerate(live))):
            if isinstance(element, Mapping):
                yield from _in_element(element, wanted, f"{path}/{index}", field)


def _in_element(element: Json, wanted: Sequence[Any], path: str, field: str) -> Iterator[str]:
    """An element of a list: a container by its name, a port of a Service by its number.

    Another container is left alone, as it may be injected. Another port of a Service is found.
    """
    key = "port" if field == "ports" and "port" in element else "name"
    match = next((each for each in wanted if each.get(key) == element.get(key)), None)
    if match is not None:
        yield from _in_map(element, match, path, field)
    elif key == "port" or "hostPort" in element:
        yield path
