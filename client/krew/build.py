#!/usr/bin/env python3
"""Builds the archive of the plugin and its manifest for krew, kubectl's plugin manager.

    client/krew/build.py --url https://downloads.example.org/imageclassifier --out .build/krew

The archive is one executable file for Linux and macOS, which needs Python 3.11 and kubectl. It contains the
client and rich. `create` needs more packages, and says so.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.util
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from imageclassifier_gateway import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = "kubectl-imageclassifier"
_PACKAGES = {"imageclassifier_client": REPOSITORY / "client/src/imageclassifier_client"}
_MAIN = "import imageclassifier_client.__main__\nimageclassifier_client.__main__.main()\n"
_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every file, so that the same sources give the same archive."""


def archive() -> bytes:
    """The tar.gz file with the program and the licence."""
    raw = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, content, mode in (
            (PROGRAM, _program(), 0o755),
            ("LICENSE", (REPOSITORY / "LICENSE").read_bytes(), 0o644),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def manifest(url: str, data: bytes) -> dict[str, Any]:
    """The manifest for krew. `url`: the folder from which krew downloads the archive."""
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "imageclassifier"},
        "spec": {
            "version": f"v{__version__}",
            "shortDescription": "Show image classifiers and decide on rollouts",
            "description": (
                "Shows an ImageClassifier with its pods, traffic and evidence, says what to do next, "
                "classifies pictures with it, and promotes, pauses, retries or rolls back its versions.\n"
            ),
            "caveats": "It needs Python 3.11 or newer as python3.\n",
            "platforms": [
                {
                    "selector": {
                        "matchExpressions": [{"key": "os", "operator": "In", "values": ["darwin", "linux"]}]
                    },
                    "uri": f"{url.rstrip('/')}/{archive_name()}",
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "files": [{"from": name, "to": "."} for name in (PROGRAM, "LICENSE")],
                    "bin": PROGRAM,
                }
            ],
        },
    }


def archive_name() -> str:
    """The name of the archive of this version."""
    return f"{PROGRAM}-v{__version__}.tar.gz"


def _program() -> bytes:
    """A zip file that Python runs."""
    raw = io.BytesIO(b"")
    raw.write(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(raw, "a", zipfile.ZIP_DEFLATED) as packed:
        for name, content in (("__main__.py", _MAIN.encode()), *_modules()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)
    return raw.getvalue()


def _modules() -> Iterator[tuple[str, bytes]]:
    rich = importlib.util.find_spec("rich")
    assert rich is not None
    assert rich.origin is not None
    for package, folder in {**_PACKAGES, "rich": Path(rich.origin).parent}.items():
        for path in sorted(folder.rglob("*.py")):
            yield f"{package}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="folder from which krew downloads the archive; without it, no manifest")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = archive()
    written = {archive_name(): data}
    if options.url:
        text = yaml.safe_dump(manifest(options.url, data), sort_keys=False)
        written["imageclassifier.yaml"] = text.encode()
    for name, content in written.items():
        (options.out / name).write_bytes(content)
    print(f"Wrote {' and '.join(written)} into {options.out}.")


if __name__ == "__main__":
    main()
