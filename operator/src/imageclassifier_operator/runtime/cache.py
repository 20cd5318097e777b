"""What the watches have brought, corrected by what we know better.

kopf's indices lag behind our own writes, and keep ghosts: after a broken watch it lists again, but what
vanished meanwhile stays in the index. So this cache lays two things over them: the answer to each of our
writes, until the watch has caught up with its resourceVersion (read-your-writes), and the uids that are
known to be gone.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import CHILDREN, IMAGE_CLASSIFIERS, PODS, WARNINGS, WATCHED, Kind
from imageclassifier_operator.runtime.work_queue import Key

Json = Mapping[str, Any]
Index = Mapping[Key, Iterable[Json]]
"""A kopf index: all objects of one kind that belong to an ImageClassifier."""

_OF_OURS = re.compile(r"(.+)-(?:serving-v\d+|gateway|verify-v\d+)-")
"""Names of our pods and Jobs; an Event has no labels of what it is about."""


def key_of(kind: Kind, body: Json) -> Key | None:
    """The ImageClassifier that an object belongs to, None for one that is not ours."""
    metadata = body["metadata"]
    if kind == IMAGE_CLASSIFIERS:
        return Key(metadata["namespace"], metadata["name"])
    if kind == WARNINGS:
        about = body.get("involvedObject") or {}
        found = _OF_OURS.match(about.get("name", "")) if about.get("kind") in ("Pod", "Job") else None
        return None if found is None else Key(about.get("namespace", ""), found[1])
    instance = (metadata.get("labels") or {}).get(names.LABEL_INSTANCE)
    return None if instance is None else Key(metadata["namespace"], instance)


class Cache:
    """Objects by ImageClassifier. `indices` are kopf's own, by plural name; they live and change under us."""

    def __init__(self, indices: Mapping[str, Index]) -> None:
        self._indices = indices
        self._written: dict[
            tuple[str, Key], dict[str, dict[str, Any]]
        ] = {}  # (plural, key) -> name -> object
        self._gone: dict[str, set[str]] = {kind.plural: set() for kind in WATCHED}

    def image_classifier(self, key: Key) -> Json | None:
        return next(iter(self.of(IMAGE_CLASSIFIERS, key)), None)

    def of(self, kind: Kind, key: Key) -> list[Json]:
        """All objects of `kind` that belong to `key`, in order of their names."""
        index, gone = self._indices[kind.plural], self._gone[kind.plural]
        found = {
            body["metadata"]["name"]: body
            for body in index.get(key, ())
            if body["metadata"]["uid"] not in gone
        }
        written = self._written.get((kind.plural, key), {})
        for name, body in list(written.items()):
            seen = found.get(name)
            if body["metadata"]["uid"] in gone:
                del written[name]  # it went while the answer to our write was under way
            elif seen is not None and _resource_version(seen) >= _resource_version(body):
                del written[name]  # the watch has caught up
            else:
                found[name] = body
        return [found[name] for name in sorted(found)]

    def one(self, kind: Kind, key: Key, name: str) -> Json | None:
        return next((body for body in self.of(kind, key) if body["metadata"]["name"] == name), None)

    def written(self, kind: Kind, key: Key, body: dict[str, Any]) -> None:
        """The API server's answer to a write of ours, or to a read that the watch did not bring yet."""
        self._written.setdefault((kind.plural, key), {})[body["metadata"]["name"]] = body

    def deleted(self, kind: Kind, key: Key, name: str, uid: str) -> None:
        """An object is gone: we deleted it, the watch said so, or a list does not have it any more."""
        written = self._written.get((kind.plural, key), {})
        if name in written and written[name]["metadata"]["uid"] == uid:
            del written[name]
        self._gone[kind.plural].add(uid)

    def uids(self, kind: Kind) -> set[str]:
        """All objects of `kind` that the cache believes in: to be taken before the list for `correct`."""
        index = self._indices[kind.plural]
        return {body["metadata"]["uid"] for key in list(index) for body in self.of(kind, key)}

    def correct(self, kind: Kind, before: set[str], listed: set[str]) -> set[Key]:
        """Drop the ghosts: what was in the cache `before` a list of the kind and is not `listed`. Whose
        were they?
        """
        index, gone = self._indices[kind.plural], self._gone[kind.plural]
        ghosts, touched = before - listed, set()
        for key in list(index):
            for body in self.of(kind, key):
                uid = body["metadata"]["uid"]
                if uid in ghosts:
                    self.deleted(kind, key, body["metadata"]["name"], uid)
                    touched.add(key)
        gone &= {body["metadata"]["uid"] for key in list(index) for body in index[key]}
        return touched

    def forget(self, key: Key) -> None:
        """An ImageClassifier is gone: nothing more is known of it."""
        for kind in (*CHILDREN, PODS, IMAGE_CLASSIFIERS):
            self._written.pop((kind.plural, key), None)


def _resource_version(body: Json) -> int:
    """resourceVersions of one kind grow as numbers: Kubernetes has said so since 1.35, and etcd always did
    so.
    """
    return int(body["metadata"]["resourceVersion"])
