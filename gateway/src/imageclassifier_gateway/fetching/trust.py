"""Which certificates the gateway trusts when it fetches: the public authorities, and those of a file."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

from ..file_state import FileState, file_state


class Trust:
    """Contexts for TLS. A file that is renewed, as a mounted ConfigMap is, takes effect at the next fetch."""

    def __init__(self, file: Path | None = None) -> None:
        """`file`: further certificates of authorities, as PEM. Raises OSError if it cannot be used."""
        self._file = file
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._read: FileState | None = None
        if file is not None:
            self.context()

    def context(self) -> ssl.SSLContext:
        """The context for a connection. A file that has become unusable leaves the one from before."""
        with self._lock:
            state = self._state()
            if self._context is None or state != self._read:
                try:
                    self._context = self._load()
                except OSError:  # also ssl.SSLError
                    if self._context is None:
                        raise
                self._read = state
            return self._context

    def _state(self) -> FileState | None:
        """The state of the file; None if there is none."""
        try:
            return None if self._file is None else file_state(self._file)
        except OSError:
            return None

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._file is not None:
            context.load_verify_locations(self._file)
        return context
