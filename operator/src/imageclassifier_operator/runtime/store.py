"""The objects of one kind, by ImageClassifier, as the watches fill it.

Parsed JSON takes five times the memory of its text, and its text five times that of the compressed text. So
each object is stored as compressed JSON without what nobody reads, and parsed when it is read. What was read
last stays parsed.
"""

import functools
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import FIELD_MANAGER, PODS, STATUS_FIELD_MANAGER, WARNINGS, Kind
from imageclassifier_operator.runtime.cache import ObjectVersion, key_of
from imageclassifier_operator.runtime.work_queue import Key

PARSED = 512
"""How many objects stay parsed. A reconciliation reads about ten, and there are 32 workers."""

_POD_SPEC = ("nodeName", "restartPolicy")
_POD_CONTAINER = ("name", "image", "command", "args")
_WARNING = ("involvedObject", "reason", "message", "type", "count", "lastTimestamp", "eventTime")


class Removed(NamedTuple):
    """An object that the store no longer has."""

    key: Key
    name: str
    uid: str


class _Stored(NamedTuple):
    key: Key
    name: str
    uid: str
    version: str
    packed: bytes


class Store(Mapping[Key, list[Json]]):
    """A mapping from ImageClassifiers to their objects of `kind`. Readers must not change what they get."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._by_uid: dict[str, _Stored] = {}
        self._by_key: dict[Key, dict[str, _Stored]] = {}

    def __getitem__(self, key: Key) -> list[Json]:
        return [_unpack(stored.packed) for stored in self._by_key[key].values()]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    def versions(self, key: Key) -> list[ObjectVersion]:
        """Which objects an ImageClassifier has. It costs far less than the objects."""
        return [
            ObjectVersion(stored.name, stored.uid, stored.version)
            for stored in self._by_key.get(key, {}).values()
        ]

    def uids(self) -> set[str]:
        """The uids of all objects."""
        return set(self._by_uid)

    def has(self, uid: str) -> bool:
        """Whether the store has this object."""
        return uid in self._by_uid

    def put(self, body: Json) -> set[Key]:
        """Store an object. Returns whose it is and, if it was another's before, whose it was.

        Returns nobody for an object that is not ours, or that the store has in this version.
        """
        metadata = body["metadata"]
        uid, version, before = metadata["uid"], metadata["resourceVersion"], self._by_uid.get(metadata["uid"])
        key = key_of(self._kind, body)
        if before is not None and before.version == version:
            return set()
        affected = set()
        if before is not None and before.key != key and (removed := self.remove(uid)) is not None:
            affected.add(removed.key)
        if key is not None:
            packed = zlib.compress(orjson.dumps(_kept(self._kind, body)), 1)
            stored = _Stored(key, metadata["name"], uid, version, packed)
            self._by_uid[uid] = self._by_key.setdefault(key, {})[uid] = stored
            affected.add(key)
        return affected

    def remove(self, uid: str) -> Removed | None:
        """Remove an object. Returns what it was; None if the store does not have it."""
        stored = self._by_uid.pop(uid, None)
        if stored is None:
            return None
        of_key = self._by_key[stored.key]
        del of_key[uid]
        if not of_key:
            del self._by_key[stored.key]
        return Removed(stored.key, stored.name, uid)


@functools.lru_cache(maxsize=PARSED)
def _unpack(packed: bytes) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    return body


def _kept(kind: Kind, body: Json) -> Json:
    """What is read of an object. `kind` and `apiVersion` stay, for those who compare it with a manifest."""
    if kind == PODS:
        return _kept_of_pod(body)
    if kind == WARNINGS:
        kept = {name: body[name] for name in _WARNING if name in body}
        return kept | {"metadata": _without_managers(body["metadata"])}
    fields = [_kept_of_manager(entry) for entry in body["metadata"].get("managedFields") or ()]
    return {**body, "metadata": {**body["metadata"], "managedFields": fields}}


def _kept_of_manager(entry: Json) -> Json:
    """An entry of `managedFields`. The place of others' entries counts, but not their fields."""
    if entry.get("manager") in (FIELD_MANAGER, STATUS_FIELD_MANAGER):
        return entry
    return {name: value for name, value in entry.items() if name != "fieldsV1"}


def _kept_of_pod(body: Json) -> Json:
    spec = body.get("spec") or {}
    kept: dict[str, Any] = {name: spec[name] for name in _POD_SPEC if name in spec}
    for containers in ("initContainers", "containers"):
        kept[containers] = [
            {name: container[name] for name in _POD_CONTAINER if name in container}
            for container in spec.get(containers) or ()
        ]
    kept["volumes"] = [
        volume
        for volume in spec.get("volumes") or ()
        if {"persistentVolumeClaim", "image"}.intersection(volume)
    ]
    return {"metadata": _without_managers(body["metadata"]), "spec": kept, "status": body.get("status") or {}}


def _without_managers(metadata: Json) -> Json:
    return {name: value for name, value in metadata.items() if name != "managedFields"}
