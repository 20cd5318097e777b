"""Which certificates the gateway trusts when it fetches: the public authorities, and those of a file."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path


class Trust:
    """Contexts for TLS. A file that is renewed, as a mounted ConfigMap is, takes effect at the next fetch."""

    def __init__(self, file: Path | None = None) -> None:
        """`file`: further certificates of authorities, as PEM. Raises OSError if it cannot be used."""
        self._file = file
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._read: float | None = None
        if file is not None:
            self.context()

    def context(self) -> ssl.SSLContext:
        """The context for a connection. A file that has become unusable leaves the one from before."""
        with self._lock:
            changed = self._changed()
            if self._context is None or changed != self._read:
                try:
                    self._context = self._load()
                except OSError:  # also ssl.SSLError
                    if self._context is None:
                        raise
                self._read = changed
            return self._context

    def _changed(self) -> float | None:
        """When the file changed last."""
        try:
            return None if self._file is None else self._file.stat().st_mtime
        except OSError:
            return None

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._file is not None:
            context.load_verify_locations(self._file)
        return context
