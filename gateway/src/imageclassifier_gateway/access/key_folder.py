"""Reads the folder with the API keys, which is a mounted Secret, and follows its changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..file_state import FileState, file_state
from .entry import MAX_ENTRY_BYTES, Client, EntryError, parse_entry

#: Polling costs almost nothing, and it works on file systems without inotify.
_POLL_SECONDS = 0.2
#: After this many failures in a row, the keys that were read before are not valid any more.
_MAX_FAILURES = 3
_MAX_ENTRIES = 1000
#: The secret of this process for `blinded`.
_PEPPER = secrets.token_bytes(32)


def blinded(digest: bytes) -> bytes:
    """A value by which a client is found in constant time.

    How long a look-up takes may depend on the bytes of the value, but nobody outside of this process can
    compute or choose them.
    """
    return hmac.digest(_PEPPER, digest, hashlib.sha256)


@dataclass(frozen=True)
class Keys:
    """The valid entries of the folder, and what is wrong with the first of the others.

    An invalid entry gives nobody access.
    """

    error: str | None = None
    names: frozenset[str] = frozenset()
    _clients: dict[bytes, Client] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, entries: Iterable[tuple[str, str]]) -> Keys:
        """The keys in these entries, which are pairs of a name and a text."""
        found: dict[bytes, Client] = {}
        names: set[str] = set()
        errors: list[str] = []
        for name, text in entries:
            try:
                client = parse_entry(name, text)
            except EntryError as error:
                errors.append(str(error))
                continue
            own = {blinded(each): client for each in client.hashes}
            if other := next((found[each] for each in own if each in found), None):
                errors.append(f"The entry '{name}' has a key of the entry '{other.name}'. Remove one.")
                continue
            found |= own
            names.add(name)
        if not found and not errors:
            errors.append("There are no API keys. Add an entry to the Secret for each client.")
        return cls(errors[0] if errors else None, frozenset(names), found)

    def find(self, key: bytes) -> Client | None:
        """The client with this key."""
        return self._clients.get(blinded(hashlib.sha256(key).digest()))


class KeyFolder:
    """Holds the keys of a folder. Any thread may read `keys`."""

    def __init__(self, path: Path) -> None:
        self.keys = Keys(f"The API keys in {path} have not been read yet.")
        self._path = path
        self._seen: dict[str, FileState] | None = None
        self._failures = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="api-keys", daemon=True)

    def start(self) -> None:
        """Read the folder, and start the thread that watches it."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopped.set()

    def look(self) -> None:
        """Read the folder if it has changed. If that keeps failing, no key is valid.

        While the kubelet replaces the files, an entry that it removes may be a link to nothing.
        """
        try:
            seen = self._state()
            if seen == self._seen:
                self._failures = 0
                return
            keys = Keys.of((name, self._read(name)) for name in seen)
        except (OSError, EntryError) as error:
            self._failures += 1
            if self._failures == _MAX_FAILURES or self._seen is None:
                self._seen = None
                why = error.strerror if isinstance(error, OSError) else error
                self._replace(Keys(f"The API keys in {self._path} cannot be read: {why}."))
            return
        self._seen, self._failures = seen, 0
        self._replace(keys)

    def _replace(self, keys: Keys) -> None:
        if keys.error is not None and keys.error != self.keys.error:
            logging.getLogger(__name__).error("%s", keys.error)
        self.keys = keys

    def _state(self) -> dict[str, FileState]:
        """The state of each entry, by its name."""
        names = sorted(each.name for each in self._path.iterdir() if not each.name.startswith(".."))
        if len(names) > _MAX_ENTRIES:
            raise EntryError(f"there are {len(names):,} entries, and the limit is {_MAX_ENTRIES:,}")
        return {name: file_state(self._path / name) for name in names}

    def _read(self, name: str) -> str:
        with (self._path / name).open("rb") as file:
            return file.read(MAX_ENTRY_BYTES + 1).decode("utf-8", "replace")

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                self.look()
            except Exception as error:  # the thread must survive, to read the next state
                logging.getLogger(__name__).exception("A bug kept the gateway from reading the API keys.")
                self._seen = None
                self.keys = Keys(f"The gateway could not read the API keys because of a bug: {error!r}.")
