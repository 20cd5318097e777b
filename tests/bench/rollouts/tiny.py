"""The models of the rows, a few kilobytes each: good, or with a single defect. They are cached."""

from __future__ import annotations

import base64
import importlib.util
import io
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any

from load import Picture
from PIL import Image

from laptop import places

NAME = "rollouts"
MAKE = places.REPOSITORY / "examples/tiny_model/make.py"


class Version(IntEnum):
    """The version numbers, by the quality or defect of the model."""

    GOOD = 1
    ALSO_GOOD = 2
    MISLABELLED = 3
    CRASHES = 4
    SLOW = 5
    FAILS_HALF_PERCENT = 6
    ALSO_FAILS_HALF_PERCENT = 7
    FAILS_2_PERCENT = 8
    ALSO_FAILS_2_PERCENT = 9
    FAILS_5_PERCENT = 10


#: The slow one takes about a tenth of a second more than the others on one core of a laptop.
_VARIANTS: dict[Version, dict[str, Any]] = {
    Version.GOOD: {},
    Version.ALSO_GOOD: {},
    Version.MISLABELLED: {"variant": "inverted"},
    Version.CRASHES: {"variant": "crash"},
    Version.SLOW: {"variant": "slow", "slow_steps": 150},
    Version.FAILS_HALF_PERCENT: {"variant": "flaky", "flaky_percent": 0.5},
    Version.ALSO_FAILS_HALF_PERCENT: {"variant": "flaky", "flaky_percent": 0.5},
    Version.FAILS_2_PERCENT: {"variant": "flaky", "flaky_percent": 2.0},
    Version.ALSO_FAILS_2_PERCENT: {"variant": "flaky", "flaky_percent": 2.0},
    Version.FAILS_5_PERCENT: {"variant": "flaky", "flaky_percent": 5.0},
}
#: At or below these brightnesses a picture is dark, above it is light; white makes version 4 crash.
DARK, LIGHT, WHITE = 40, 215, 255


def picture(brightness: int) -> bytes:
    """A PNG with one grey value."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (brightness, brightness, brightness)).save(buffer, "PNG")
    return buffer.getvalue()


def base64_picture(brightness: int) -> str:
    return base64.b64encode(picture(brightness)).decode()


def pictures(white_every: int) -> list[Picture]:
    """Light and dark pictures in turn; about one of `white_every` is white."""
    light, dark = Picture(picture(LIGHT), "light"), Picture(picture(DARK), "dark")
    return [*([light, dark] * (white_every // 2)), Picture(picture(WHITE), "light")]


def ensure() -> Path:
    """The directory with all versions, which are made if they are missing."""
    sources = [MAKE, Path(__file__), *(places.REPOSITORY / "training/src").rglob("*.py")]
    directory = places.cached("rollouts-models", places.digest([], sources))
    if not directory.exists():
        making = directory.with_suffix(".making")
        # TensorFlow stays out of this process.
        subprocess.run([sys.executable, __file__, making], check=True)
        places.replace_directory(making, directory)
    return directory


def _make_all(directory: Path) -> None:
    spec = importlib.util.spec_from_file_location("tiny_model_make", MAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where TensorFlow looks for the source of its functions
    spec.loader.exec_module(module)
    for version, options in _VARIANTS.items():
        module.make(directory, name=NAME, version=int(version), **options)


if __name__ == "__main__":
    _make_all(Path(sys.argv[1]))
