"""The directories of the checkout, the caches and the state; hashes of inputs; locks.

The caches may be deleted at any time (`make clean`). The state directory holds logs, the
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
    """The directory of the caches; deleting it costs only time."""
    return _user_directory("XDG_CACHE_HOME", ".cache")


def state_directory() -> Path:
    """The directory of logs, settings and records."""
    return _user_directory("XDG_STATE_HOME", ".local/state")


def log_directory() -> Path:
    """The directory with a log of each step."""
    return state_directory() / "logs"


def digest(values: Iterable[str], files: Iterable[Path] = ()) -> str:
    """Hash values and files (their names and bytes) to 16 hex digits."""
    total = hashlib.sha256()
    for value in values:
        total.update(f"{len(value)}:{value}".encode())
    for file in sorted(files):
        total.update(f"{file.name}:{hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return total.hexdigest()[:16]


def cached(what: str, key: str) -> Path:
    """The path in the cache for what was made from the inputs with this key."""
    return cache_directory() / f"{what}-{key}"


def replace_directory(new: Path, final: Path) -> None:
    """Move a finished directory to its place atomically, so that a killed run leaves nothing incomplete."""
    if final.exists():
        shutil.rmtree(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    new.rename(final)


@contextmanager
def exclusive(what: str) -> Iterator[None]:
    """Hold a lock for a kind of work. It ends with the process, even if that is killed."""
    path = state_directory() / f"{what}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another run that does the same ({what}).", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
