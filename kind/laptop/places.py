"""Where things lie: the checkout, the cache of what was made, and the state of what runs.

The cache may be deleted at any time (`make clean`), it only costs time. The state directory holds logs, the
Docker Engine's settings and the record of the cluster.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
KIND = REPOSITORY / "kind"


def _user_directory(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "imageclassifier"


def cache_directory() -> Path:
    return _user_directory("XDG_CACHE_HOME", ".cache")


def state_directory() -> Path:
    return _user_directory("XDG_STATE_HOME", ".local/state")


def log_directory() -> Path:
    return state_directory() / "logs"


def digest(values: Iterable[str], files: Iterable[Path] = ()) -> str:
    """16 hex digits that change when a value, or a file's path below its parent or its bytes, changes."""
    total = hashlib.sha256()
    for value in values:
        total.update(f"{len(value)}:{value}".encode())
    for file in sorted(files):
        total.update(f"{file.name}:{hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return total.hexdigest()[:16]


def cached(what: str, key: str) -> Path:
    return cache_directory() / f"{what}-{key}"


def replace_directory(new: Path, final: Path) -> None:
    """Puts a finished directory in its place in one step: a killed run leaves nothing half-made there."""
    if final.exists():
        shutil.rmtree(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    new.rename(final)


@contextmanager
def exclusive(what: str) -> Iterator[None]:
    """Waits for any other run that does the same; a lock ends with its process, however that ends."""
    path = state_directory() / f"{what}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another run is at the same work ({what}); waiting for it.", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
