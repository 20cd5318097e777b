"""The certificate of the public port, in a mounted Secret of the type kubernetes.io/tls."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from ..file_state import FileState, file_state

_FILES = ("tls.crt", "tls.key")


class Certificate:
    """Holds the newest valid certificate. Connections keep the one of their start."""

    def __init__(self, folder: Path) -> None:
        self.context: ssl.SSLContext | None = None
        self.error: str | None = f"The certificate in {folder} has not been read yet."
        self._folder = folder
        self._seen: list[FileState] | None = None

    def look(self) -> None:
        """Read the certificate if it has changed. If that fails, the one before stays in use."""
        try:
            seen = [file_state(self._folder / name) for name in _FILES]
        except OSError as error:
            self._seen = None
            self._report(error)
            return
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.context = _context(*(self._folder / name for name in _FILES))
        except OSError as error:  # among them ssl.SSLError
            self._report(error)
            return
        self.error = None

    def _report(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLError):
            why = error.reason.lower().replace("_", " ") if error.reason else "no valid PEM"
        else:
            why = f"{error.strerror} ({Path(str(error.filename or self._folder)).name})"
        message = (
            f"The certificate in {self._folder} is invalid: {why}. The Secret must have tls.crt, a chain in "
            "PEM that begins with the server's certificate, and tls.key, its key without a password."
        )
        if message != self.error:
            logging.getLogger(__name__).error("%s", message)
        self.error = message


def _context(chain: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    # Without a password given, OpenSSL would ask for one at the terminal.
    context.load_cert_chain(chain, key, password=lambda: b"")
    return context
