"""Prometheus and promtool, for tests of the monitoring: the installed ones, else those of Debian's package.

The package is unpacked into the cache, because installing it would start a server. It is not built from Go
modules, because that takes 11 minutes on 2 cores.
"""

import shutil
from functools import cache
from pathlib import Path

from laptop import apt
from laptop.golang import parse_version
from laptop.progress import output

OLDEST = (2, 42)
_PACKAGE = "prometheus"
_PROGRAMS = ("prometheus", "promtool")
_ADVICE = "install Prometheus 2.42 or newer (the programs prometheus and promtool)"


@cache
def directory() -> Path:
    """The directory of both programs, whether they are there or not."""
    installed = shutil.which(_PROGRAMS[0])
    if installed is not None and all(_is_new_enough(Path(installed).parent / name) for name in _PROGRAMS):
        return Path(installed).parent
    return apt.unpacked(_PACKAGE) / "usr/bin"


def ensure() -> None:
    """Unpack the package unless both programs are there."""
    if not all((directory() / name).is_file() for name in _PROGRAMS):
        apt.ensure_unpacked(_PACKAGE, _ADVICE)


def _is_new_enough(program: Path) -> bool:
    # Some releases print their version to stderr.
    printed = output(["sh", "-c", '"$0" --version 2>&1', program])
    return printed is not None and parse_version(printed) >= OLDEST
