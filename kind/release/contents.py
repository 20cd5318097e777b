"""The files of an image that say what the image contains: records of packages, licences, the distribution."""

import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from images.layout import resolved

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
#: The path of Python's licence, where the image has its own Python.
PYTHON_LICENCE = r"usr/local/lib/python3\.\d+/LICENSE\.txt"
#: Paths in an image, without a slash at the beginning.
_TELLING = re.compile(
    rf"""({PYTHON_LICENCE}
        |usr/lib/os-release
        |var/lib/dpkg/status(\.d/[^/]+)?
        |usr/share/doc/[^/]+(/copyright)?           # the folder, if it is a link to that of another package
        |usr/share/common-licenses/[^/]+
        |(.+/)?[^/]+\.dist-info/(METADATA|sboms/[^/]+\.json|(licen[sc]es/.+|[^/]*(licen[sc]e|copying|notice)[^/]*))
        )""",
    re.VERBOSE | re.IGNORECASE,
)
_LINKS_AT_MOST = 8


def telling_files(layers: Iterable[tarfile.TarFile]) -> dict[str, bytes]:
    """The contents of these files by path; `layers` of one image, base first.

    As in a container, a file of a later layer replaces an earlier one, and a whiteout removes it. A link
    counts as the file that it leads to.
    """
    found: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for layer in layers:
        for entry in layer:
            path = str(PurePosixPath(entry.name)).lstrip("/")
            folder, _, name = path.rpartition("/")
            if name.startswith(_WHITEOUT):
                hidden = folder if name == _OPAQUE else f"{folder}/{name.removeprefix(_WHITEOUT)}".lstrip("/")
                for paths in (found, links):
                    for each in [each for each in paths if each == hidden or each.startswith(f"{hidden}/")]:
                        del paths[each]
            elif _TELLING.fullmatch(path) and not entry.isdir():
                found.pop(path, None)
                links.pop(path, None)
                if entry.issym():
                    links[path] = entry.linkname
                elif content := layer.extractfile(entry):
                    found[path] = content.read()
    return found | _linked(links, found)


def _linked(links: Mapping[str, str], found: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that links lead to: a link to a file, or the files in a linked folder."""
    copies: dict[str, bytes] = {}
    for link in links:
        target = link
        for _ in range(_LINKS_AT_MOST):
            if target not in links:
                break
            target = resolved(target, links[target])
        copies |= {
            link + path.removeprefix(target): content
            for path, content in found.items()
            if path == target or path.startswith(f"{target}/")
        }
    return copies
