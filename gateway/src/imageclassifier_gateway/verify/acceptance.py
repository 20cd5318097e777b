"""The acceptance pictures of a plan: their bytes, from base64, a file or a URL, and their pixels."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from ..config import Settings
from ..contract import ModelInput
from ..fetching.fetcher import Fetcher
from ..fetching.urls import FetchError
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from ..pixels import images
from .outcome import NotCarriedOutError
from .plan import Case


@dataclass(frozen=True)
class AcceptancePictures:
    """Reads acceptance pictures under the limits of the gateway."""

    settings: Settings

    @property
    def limits(self) -> images.Limits:
        """The limits of a picture, as for requests."""
        return images.Limits.of_requests(self.settings.max_image_bytes, self.settings.max_image_pixels)

    def prepare(self, case: Case, wanted: ModelInput, timeout_seconds: float) -> Pixels:
        """The pixels of a case's picture. Raises NotCarriedOutError if it cannot be used."""
        try:
            return images.prepare(self._read(case, timeout_seconds), wanted, self.limits)
        except (images.PictureError, FetchError, OSError, ValueError) as error:
            raise NotCarriedOutError(
                f"The acceptance picture '{case.name}' cannot be used: {error}"
            ) from None

    def _read(self, case: Case, timeout_seconds: float) -> bytes:
        if case.source == "base64":
            return base64.b64decode(case.picture, validate=True)
        if case.source == "file":
            return _read_file(Path(case.picture))
        fetcher = Fetcher.of_settings(self.settings)
        return fetcher.fetch(case.picture, Deadline.after(timeout_seconds))


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ValueError(
            f"there is no key {path.name} in a ConfigMap {path.parent.name}; "
            "create it, or correct spec.rollout.acceptance"
        ) from None
