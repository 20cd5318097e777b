"""The version of a release in the sources, as `make release` checks it and `make set-version` sets it."""

import re
from pathlib import Path

SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")
#: The places, as a file and a pattern with the version in its group.
PLACES = (
    ("gateway/src/imageclassifier_gateway/__init__.py", r'^__version__ = "(.+)"$'),
    ("operator/install/render.py", r'^RELEASE = "(.+)"$'),
    ("operator/install/chart/Chart.yaml", r"^version: (.+)$"),
    ("operator/install/chart/Chart.yaml", r"^appVersion: (.+)$"),
    ("operator/install/kustomize/overlay/kustomization.yaml", r"/operator:(.+)$"),
    ("operator/install/kustomize/overlay/kustomization.yaml", r"/gateway:(.+)$"),
)
CHANGELOG = "CHANGELOG.md"


def check(version: str) -> None:
    """Raise ValueError if this is not a semantic version."""
    if not SEMANTIC.fullmatch(version):
        raise ValueError(f"{version!r} is not a semantic version. Give one such as 1.2.0.")


def differences(root: Path, version: str) -> list[str]:
    """Why the sources below `root` are not the release `version`, as sentences; empty if they are."""
    found = []
    for name, pattern in PLACES:
        present = re.findall(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        if present != [version]:
            found.append(f"{name} says {' and '.join(present) or 'no version'}.")
    if not re.search(rf"^## \[{re.escape(version)}\]", (root / CHANGELOG).read_text(encoding="utf-8"), re.M):
        found.append(f"{CHANGELOG} has no section `## [{version}]`.")
    return found


def set_version(root: Path, version: str) -> None:
    """Write the version into each place, except the changelog. Raises ValueError if it is not a version."""
    check(version)
    for name, pattern in PLACES:
        path = root / name
        text = path.read_text(encoding="utf-8")
        places = list(re.finditer(pattern, text, re.MULTILINE))
        if len(places) != 1:
            raise ValueError(
                f"{name} has {len(places)} lines like {pattern}. Correct kind/release/versions.py."
            )
        begin, end = places[0].span(1)
        path.write_text(text[:begin] + version + text[end:], encoding="utf-8")
