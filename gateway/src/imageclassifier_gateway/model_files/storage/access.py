"""How a store is reached: endpoint, region, certificates, and credentials that are mounted from a Secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ... import __version__
from ..refusal import DownloadRefusedError
from .choice import FIELD

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

#: How long a connection or the next bytes may take.
_TIMEOUT = timedelta(seconds=30)
_LONGEST_DOWNLOAD = timedelta(hours=12)
#: The retries of the library, inside of those of this program.
RETRIES: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(minutes=1)}


@dataclass(frozen=True)
class Access:
    """The settings of a store. `credentials`: the directory of a mounted Secret.

    `shown_secret`, `shown_ca`: the Secret and the certificates as the subjects of sentences.
    """

    endpoint: str | None = None
    region: str | None = None
    ca_file: Path | None = None
    credentials: Path | None = None
    shown_secret: str = f"The Secret in {FIELD}.credentialsFrom"
    shown_ca: str = f"The key of {FIELD}.caBundle"

    def secret_names(self) -> list[str]:
        """The keys of the Secret."""
        assert self.credentials is not None
        return sorted(file.name for file in self.credentials.iterdir() if not file.name.startswith("."))

    def secret(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, str]:
        """These keys of the Secret. Raises DownloadRefusedError if a required one is missing."""
        assert self.credentials is not None
        found = self.secret_names()
        if missing := [key for key in required if key not in found]:
            raise DownloadRefusedError(
                f"{self.shown_secret} has no key {' and no key '.join(missing)}, only "
                f"{', '.join(found) or 'nothing'}. Add it."
            )
        keys = [*required, *(key for key in optional if key in found)]
        return {key: (self.credentials / key).read_text(encoding="utf-8").strip() for key in keys}

    def client_options(self) -> ClientConfig:
        """The settings of the HTTP client."""
        options: ClientConfig = {
            "user_agent": f"imageclassifier-gateway/{__version__}",
            "connect_timeout": _TIMEOUT,
            "read_timeout": _TIMEOUT,
            "timeout": _LONGEST_DOWNLOAD,
            "allow_http": (self.endpoint or "").startswith("http://"),
        }
        if self.ca_file is not None:
            options["root_certificate"] = self._certificates(self.ca_file)
        return options

    def _certificates(self, file: Path) -> str:
        try:
            text = file.read_text(encoding="ascii", errors="replace")
        except OSError:
            text = ""
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise DownloadRefusedError(
                f"{self.shown_ca} does not exist or contains no certificate in PEM form. Correct it."
            )
        return text
