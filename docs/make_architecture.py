#!/usr/bin/env python3
"""Generates the pictures of the packages' folders in docs/architecture.md: `make reference`."""

from collections.abc import Iterator
from pathlib import Path

import grimp

ARCHITECTURE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- made by make reference: begin {} -->\n", "<!-- made by make reference: end {} -->\n"
#: The folders of each package, from the highest layer to the lowest.
FOLDERS = {
    "imageclassifier_operator": ("reconcile", "status", "rollout", "render", "observe", "runtime", "api"),
    "imageclassifier_gateway": (
        "api", "http", "verify", "model_files", "versions", "fetching", "access", "limits", "pixels",
        "contract",
    ),
    "imageclassifier_training": (
        "commands", "exploring", "searching", "publishing", "adopting", "comparing", "fitting", "judging",
        "exporting", "networks", "pictures",
    ),
    "imageclassifier_client": ("commands", "output", "cluster", "models", "report"),
}  # fmt: skip


def architecture(text: str) -> str:
    """The page `text`, with the parts between the markers generated again."""
    for package, folders in FOLDERS.items():
        begin, end = BEGIN.format(package), END.format(package)
        head, rest = text.split(begin)
        _, tail = rest.split(end)
        text = head + begin + "\n".join(_picture(package, folders)) + "\n" + end + tail
    return text


def _picture(package: str, folders: tuple[str, ...]) -> Iterator[str]:
    graph = grimp.build_graph(package, cache_dir=None)
    yield "```mermaid"
    yield "flowchart TD"
    for importer in folders:
        for imported in folders:
            if importer != imported and graph.direct_import_exists(
                importer=f"{package}.{importer}", imported=f"{package}.{imported}", as_packages=True
            ):
                yield f"    {importer} --> {imported}"
    yield "```"


def main() -> None:
    """Write the page."""
    ARCHITECTURE.write_text(architecture(ARCHITECTURE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
