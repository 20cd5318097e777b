"""A folder with API keys, which changes as the kubelet changes a mounted Secret."""

from __future__ import annotations

import hashlib
from pathlib import Path


def entry(key: str, limit: str = "") -> str:
    """The entry of a client with this key."""
    return f"sha256={hashlib.sha256(key.encode()).hexdigest()} {limit}"


class KeySecret:
    """A mounted Secret: each entry is a link through `..data`, which one rename replaces."""

    def __init__(self, folder: Path, **entries: str) -> None:
        folder.mkdir()
        self.folder = folder
        self._generation = 0
        self.write(**entries)

    def write(self, **entries: str) -> None:
        """Replace all entries, as the kubelet does: files, `..data`, new links, and old links last."""
        self._generation += 1
        data = self.folder / f"..{self._generation}"
        data.mkdir()
        for name, text in entries.items():
            (data / name).write_text(text)
        scratch = self.folder / "..data_tmp"
        scratch.symlink_to(data.name)
        scratch.replace(self.folder / "..data")
        for name in entries:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        for link in self.folder.iterdir():
            if not link.name.startswith("..") and link.name not in entries:
                link.unlink()
