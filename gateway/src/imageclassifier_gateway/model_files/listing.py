"""Lists what a directory contains, bounded, for a message."""

from __future__ import annotations

from collections import deque
from pathlib import Path

_MAX_NAMES = 12
_MAX_NAME_CHARACTERS = 80
_MAX_DEPTH = 3
#: The most directory entries that are looked at. A volume may contain millions.
_MAX_ENTRIES = 2000


def listing(directory: Path) -> str:
    """The files below `directory` with their relative paths, the nearest first, as one phrase.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> listing(folder)
    'nothing'
    >>> (folder / "b").mkdir(), (folder / "a").write_text("")
    (None, 0)
    >>> listing(folder)
    'a, b/ (empty)'
    """
    names = _names(directory)
    shown = ", ".join(names[:_MAX_NAMES])
    more = len(names) - _MAX_NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown or "nothing"


def _names(directory: Path) -> list[str]:
    names: list[str] = []
    waiting, seen = deque([(directory, 0)]), 0
    while waiting:
        folder, depth = waiting.popleft()
        path = "" if folder == directory else f"{shown_path(folder.relative_to(directory))}/"
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            names.append(f"{path or 'the directory'} ({error.strerror})")
            continue
        if not entries and path:
            names.append(f"{path} (empty)")
        for entry in entries:
            seen += 1
            if seen > _MAX_ENTRIES:
                return names
            if entry.is_symlink() or not entry.is_dir():
                names.append(shown_path(entry.relative_to(directory)))
            elif depth + 1 < _MAX_DEPTH:
                waiting.append((entry, depth + 1))
            else:
                names.append(f"{shown_path(entry.relative_to(directory))}/")
    return names


def shown_path(path: Path) -> str:
    r"""A path in one line. Names come from people's volumes, and may contain anything.

    >>> shown_path(Path("a\nb/c"))
    'a?b/c'
    """
    text = "".join(character if character.isprintable() else "?" for character in str(path))
    return text if len(text) <= _MAX_NAME_CHARACTERS else f"…{text[1 - _MAX_NAME_CHARACTERS :]}"
