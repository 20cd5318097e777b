#!/usr/bin/env python3
"""Generates the picture of the operator's folders in docs/architecture.md: `make reference`."""

from collections.abc import Iterator
from pathlib import Path

import grimp

ARCHITECTURE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- made by make reference: begin -->\n", "<!-- made by make reference: end -->\n"
PACKAGE = "imageclassifier_operator"
FOLDERS = ("reconcile", "status", "rollout", "render", "observe", "runtime", "api")


def architecture(text: str) -> str:
    """The page `text`, with the part between the markers generated again."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return head + BEGIN + "\n".join(_picture()) + "\n" + END + tail


def _picture() -> Iterator[str]:
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    yield "```mermaid"
    yield "flowchart TD"
    for importer in FOLDERS:
        for imported in FOLDERS:
            if importer != imported and graph.direct_import_exists(
                importer=f"{PACKAGE}.{importer}", imported=f"{PACKAGE}.{imported}", as_packages=True
            ):
                yield f"    {importer} --> {imported}"
    yield "```"


def main() -> None:
    """Write the page."""
    ARCHITECTURE.write_text(architecture(ARCHITECTURE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
