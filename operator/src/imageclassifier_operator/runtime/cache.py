"""The cache: the objects from the watches, corrected by our own writes and by what is known to be deleted.

The watches lag behind our writes. So this cache adds two things to what they have reported: the response to
each of our writes, until the watch has caught up with its resourceVersion (read-your-writes), and the uids of
deleted objects.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import CHILDREN, IMAGE_CLASSIFIERS, PODS, WARNINGS, WATCHED, Kind
from imageclassifier_operator.runtime.work_queue import Key

Index = Mapping[Key, Iterable[Json]]
"""All objects of one kind, by their ImageClassifier, as a store has them."""


class ObjectVersion(NamedTuple):
    """An object, and its resourceVersion."""

    name: str
    uid: str
    version: str


@runtime_checkable
class HasVersions(Protocol):
    """An index that tells which objects it has without reading them."""

    def versions(self, key: Key) -> Iterable[ObjectVersion]:
        """The objects of one ImageClassifier."""


MAX_DELETED = 1000
"""How many deletions of each kind are remembered. A late response to a write could undo the newest."""

_CHILD_NAME = re.compile(r"(.+)-(?:serving-v\d+|gateway|verify-v\d+)-")
"""The names of our pods and Jobs. An Event does not have the labels of the object that it is about."""


def key_of(kind: Kind, body: Json) -> Key | None:
    """The ImageClassifier of an object; None for an object that is not ours."""
    metadata = body["metadata"]
    if kind == IMAGE_CLASSIFIERS:
        return Key(metadata["namespace"], metadata["name"])
    if kind == WARNINGS:
        about = body.get("involvedObject") or {}
        found = _CHILD_NAME.match(about.get("name", "")) if about.get("kind") in ("Pod", "Job") else None
        return None if found is None else Key(about.get("namespace", ""), found[1])
    instance = (metadata.get("labels") or {}).get(names.LABEL_INSTANCE)
    return None if instance is None else Key(metadata["namespace"], instance)


class Cache:
    """Objects by ImageClassifier. `indices`: those of the watches, by plural name."""

    def __init__(self, indices: Mapping[str, Index]) -> None:
        self._indices = indices
        # Found out once: to ask it of an object takes longer than to read the versions.
        self._tell_versions = {
            plural: index.versions for plural, index in indices.items() if isinstance(index, HasVersions)
        }
        self._written: dict[
            tuple[str, Key], dict[str, dict[str, Any]]
        ] = {}  # (plural, key) -> name -> object
        self._deleted_uids: dict[str, dict[str, None]] = {kind.plural: {} for kind in WATCHED}

    def image_classifier(self, key: Key) -> Json | None:
        """The ImageClassifier itself; None if it does not exist."""
        return next(iter(self.objects_of(IMAGE_CLASSIFIERS, key)), None)

    def objects_of(self, kind: Kind, key: Key) -> list[Json]:
        """All objects of `kind` that belong to `key`, sorted by name."""
        index, deleted = self._indices[kind.plural], self._deleted_uids[kind.plural]
        keys = (key, *_cut_keys(key)) if kind == WARNINGS else (key,)
        found = {
            body["metadata"]["name"]: body
            for each in keys
            for body in index.get(each, ())
            if body["metadata"]["uid"] not in deleted
        }
        if (kind.plural, key) in self._written:
            seen = {name: _version(body) for name, body in found.items()}
            found |= self._unseen_writes(kind, key, seen)
        return [found[name] for name in sorted(found)]

    def versions(self, kind: Kind, key: Key) -> dict[str, ObjectVersion]:
        """The names of `objects_of`, and which object each is. It does not read the objects."""
        deleted = self._deleted_uids[kind.plural]
        seen = {each.name: each for each in self._indexed(kind, key) if each.uid not in deleted}
        unseen = self._unseen_writes(kind, key, {name: each.version for name, each in seen.items()})
        return seen | {name: _version_of(body) for name, body in unseen.items()}

    def _indexed(self, kind: Kind, key: Key) -> Iterable[ObjectVersion]:
        """Which objects the index has, also those that are known to be deleted."""
        tell = self._tell_versions.get(kind.plural)
        return map(_version_of, self._indices[kind.plural].get(key, ())) if tell is None else tell(key)

    def _unseen_writes(self, kind: Kind, key: Key, seen: Mapping[str, str]) -> Mapping[str, dict[str, Any]]:
        """Our writes that the watch has not `seen` yet. The others are forgotten."""
        written, deleted = self._written.get((kind.plural, key), {}), self._deleted_uids[kind.plural]
        for name, body in list(written.items()):
            # Those of one kind can be compared as numbers: etcd always allowed it, and Kubernetes documents
            # it since 1.35.
            has_caught_up = name in seen and int(seen[name]) >= int(_version(body))
            if has_caught_up or body["metadata"]["uid"] in deleted:
                del written[name]
        return written

    def get(self, kind: Kind, key: Key, name: str) -> Json | None:
        """One object by its name; None if it does not exist."""
        return next((body for body in self.objects_of(kind, key) if body["metadata"]["name"] == name), None)

    def record_write(self, kind: Kind, key: Key, body: dict[str, Any]) -> None:
        """Record the response to a write, or to a read of an object that the watch does not have."""
        self._written.setdefault((kind.plural, key), {})[body["metadata"]["name"]] = body

    def has_caught_up(self, kind: Kind, key: Key, body: Json) -> bool:
        """Whether the index has in `body` what our last write left. The write is then forgotten."""
        written, name = self._written.get((kind.plural, key), {}), body["metadata"]["name"]
        if name not in written or _version(written[name]) != _version(body):
            return False
        del written[name]
        return True

    def record_read(self, kind: Kind, key: Key, name: str, body: dict[str, Any] | None) -> None:
        """Record what a read from the API server has returned, None if there is no such object."""
        if body is not None:
            self.record_write(kind, key, body)
            self._deleted_uids[kind.plural].pop(body["metadata"]["uid"], None)
        elif (cached := self.get(kind, key, name)) is not None:
            self.record_deletion(kind, key, name, cached["metadata"]["uid"])

    def record_event(self, kind: Kind, uid: str) -> None:
        """Record that the watch has reported an object that exists, as one that has our labels again."""
        self._deleted_uids[kind.plural].pop(uid, None)

    def record_deletion(self, kind: Kind, key: Key, name: str, uid: str) -> None:
        """Record that an object is deleted, by us, by an event of the watch, or by its absence in a list."""
        written = self._written.get((kind.plural, key), {})
        if name in written and written[name]["metadata"]["uid"] == uid:
            del written[name]
        deleted = self._deleted_uids[kind.plural]
        deleted[uid] = None
        if len(deleted) > MAX_DELETED:
            del deleted[next(iter(deleted))]

    def keys(self, kind: Kind) -> set[Key]:
        """The ImageClassifiers with cached objects of `kind`. Some are known only from our own writes."""
        written = {key for plural, key in self._written if plural == kind.plural}
        return written | set(self._indices[kind.plural])

    def forget(self, key: Key) -> None:
        """Drop everything about a deleted ImageClassifier."""
        for kind in (*CHILDREN, PODS, IMAGE_CLASSIFIERS):
            self._written.pop((kind.plural, key), None)


def _cut_keys(key: Key) -> list[Key]:
    """The keys that Warnings about verifications may have, as the names of their Jobs are cut to fit a label.

    Such a key may also be that of another ImageClassifier. Warnings are looked up by the names of pods, so
    those of others do no harm.
    """
    cut = [key.name[:length].rstrip("-") for length in range(names.SHORTEST_CUT_NAME, len(key.name))]
    return [Key(key.namespace, name) for name in dict.fromkeys(cut)]


def _version_of(body: Json) -> ObjectVersion:
    metadata = body["metadata"]
    return ObjectVersion(metadata["name"], metadata["uid"], metadata["resourceVersion"])


def _version(body: Json) -> str:
    version: str = body["metadata"]["resourceVersion"]
    return version
