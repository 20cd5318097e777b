"""Recognises files and folders that are not data: what file managers, notebooks and archives leave behind."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..words import counted

#: Lower case. macOS, Windows, NAS systems, Python and file systems write these next to the images.
_NAMES = {
    "$recycle.bin",
    "#recycle",
    "@eadir",
    "__macosx",
    "__pycache__",
    "desktop.ini",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "icon\r",
    "lost+found",
    "picasa.ini",
    "system volume information",
    "thumbs.db",
}
#: Backups of editors, and the mark of Windows on a downloaded file.
_ENDINGS = ("~", ":zone.identifier")
_SHOWN = 5


def is_litter(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or belongs to an operating system or a tool."""
    folded = name.casefold()
    return name.startswith(".") or folded in _NAMES or folded.endswith(_ENDINGS)


def mention(names: Iterable[str]) -> str:
    """Describe the skipped names in one sentence; empty if there are none."""
    counts: dict[str, int] = {}
    for name in names:
        # macOS writes one `._name` per file: they are one kind of litter.
        kind = re.sub(r"^\._.*", "._*", name)
        counts[kind] = counts.get(kind, 0) + 1
    if not counts:
        return ""
    kinds = [f"{count} x {kind}" if count > 1 else kind for kind, count in sorted(counts.items())]
    rest = f" and {counted(len(kinds) - _SHOWN, 'other name')}" if len(kinds) > _SHOWN else ""
    return f"Skipped hidden files and system files: {', '.join(kinds[:_SHOWN])}{rest}."
