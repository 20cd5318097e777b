#!/usr/bin/env python3
"""Checks the links of our Markdown files, offline: files, anchors on GitHub, and the syntax of external URLs.

The site's own generator brings the Markdown parser along; `make docs` checks the links of the site.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import markdown
from pymdownx import slugs

REPOSITORY = Path(__file__).resolve().parents[1]
FILES = ("*.md", "docs/**/*.md", "examples/**/*.md", "model_server/*.md", "tests/**/*.md")
_LINK_ATTRIBUTES = {"a": "href", "img": "src", "source": "srcset"}


class Page(HTMLParser):
    """The links and the anchors of one page, from its HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the link and the anchors of one element."""
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        link = values.get(_LINK_ATTRIBUTES.get(tag, ""))
        if link is not None:
            self.links.append(link)


def main() -> int:
    """Check all files; returns 1 when a link is broken."""
    paths = sorted({path for pattern in FILES for path in REPOSITORY.glob(pattern)})
    broken = [line for path in paths for line in check(path, REPOSITORY)]
    print("\n".join(broken) or f"The links of {len(paths)} files are valid.")
    return 1 if broken else 0


def check(path: Path, root: Path) -> Iterator[str]:
    """Yield one line for each broken link of a file; links may not leave `root`."""
    for link in page(path).links:
        if problem := problem_of(link, path, root):
            yield f"{path.relative_to(root)}: the link '{link}' {problem}"


def problem_of(link: str, path: Path, root: Path) -> str | None:
    """Why a link on the page at `path` is broken; None if it is valid."""
    try:
        target = urlsplit(link)
    except ValueError:
        return "is not a valid URL"
    if target.scheme or target.netloc:
        return None if is_valid_url(link) else "is not a valid http, https or mailto URL"
    file = (path.parent / unquote(target.path)).resolve() if target.path else path
    if not file.is_relative_to(root):
        return "leaves the repository"
    if not file.exists():
        return f"points to {file.relative_to(root)}, which does not exist"
    if target.fragment and file.suffix == ".md" and unquote(target.fragment) not in page(file).anchors:
        return f"names an anchor that {file.relative_to(root)} does not have"
    return None


def is_valid_url(link: str) -> bool:
    """Whether an external URL is well-formed. It is not fetched."""
    target = urlsplit(link)
    if target.scheme == "mailto":
        return "@" in target.path
    host = target.hostname or ""
    known_host = host == "localhost" or ("." in host and not host.startswith(".") and not host.endswith("."))
    return target.scheme in {"http", "https"} and known_host and not any(map(str.isspace, link))


@cache
def page(path: Path) -> Page:
    """Parse a Markdown file; the anchors of headings are those that GitHub makes."""
    text = path.read_text(encoding="utf-8")
    extensions = ["tables", "toc", "attr_list", "pymdownx.superfences"]
    options = {"toc": {"slugify": slugs.slugify(case="lower")}}
    return Page(markdown.markdown(text, extensions=extensions, extension_configs=options))


if __name__ == "__main__":
    sys.exit(main())
