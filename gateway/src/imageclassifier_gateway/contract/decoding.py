"""How a picture's file becomes pixels before it is resized: the part `decode` of a contract's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .checks import ContractError, a_choice, a_number, an_object, only_known

#: The version of the preprocessing. A change of the code that changes the pixels of any picture needs a new
#: version, and the old one must stay: models were trained on its pixels.
PREPROCESSING_VERSION = 1
#: `ignore`: all pixels count as sRGB. `srgb`: pixels are converted from the picture's own profile to sRGB.
PROFILES = ("ignore", "srgb")
_LEAST_MARGIN, _MOST_MARGIN = 0.5, 16.0


@dataclass(frozen=True)
class Decoding:
    """How files are decoded. The defaults are those of models whose contract has no `decode`.

    A JPEG is decoded at the smallest scale (1, 1/2, 1/4 or 1/8) that leaves at least `margin` pixels for each
    wanted pixel on each axis. Below 1, the resize after it may enlarge the picture.
    """

    version: int = PREPROCESSING_VERSION
    margin: float = 2.0
    profile: str = "ignore"

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {"version": self.version, "margin": self.margin, "profile": self.profile}


#: For models whose contract has no `decode`.
DEFAULT_DECODING = Decoding()
#: Training writes this into the contracts of new models. In an antialiased resize to 224 pixels, a margin of
#: 1.33 instead of 2 changes a value by 0.4 of 255 on average, and saves a quarter of the CPU time for
#: pictures of several megapixels.
FOR_NEW_MODELS = Decoding(margin=1.33)


def parse_decoding(value: Any) -> Decoding:
    """Parse `input.decode`; None means the defaults. Raises ContractError with the path of the field."""
    if value is None:
        return DEFAULT_DECODING
    document: Mapping[str, Any] = an_object(value, "input.decode")
    only_known(document, "input.decode", tuple(Decoding.__dataclass_fields__))
    version = document.get("version", PREPROCESSING_VERSION)
    if isinstance(version, bool) or version != PREPROCESSING_VERSION:
        raise ContractError(
            f"input.decode.version is {version!r:.60}, but this release prepares pictures by version "
            f"{PREPROCESSING_VERSION} only. Update the gateway to the release that trained the model or to a "
            "later one."
        )
    return Decoding(
        margin=a_number(
            document.get("margin", Decoding.margin), "input.decode.margin", _LEAST_MARGIN, _MOST_MARGIN
        ),
        profile=a_choice(document.get("profile", Decoding.profile), "input.decode.profile", PROFILES),
    )
