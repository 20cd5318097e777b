"""docs/check_links.py finds broken links, and accepts valid ones."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
CHECK = runpy.run_path(str(DOCS / "check_links.py"))["check"]


def problems(folder: Path, link: str) -> list[str]:
    (folder / "other.md").write_text("# Other page\n\n## `GET /rollout` and its_reply\n", encoding="utf-8")
    path = folder / "page.md"
    path.write_text(f"# Page\n\nA [link]({link}).\n", encoding="utf-8")
    return list(CHECK(path, folder))


@pytest.mark.parametrize(
    "link",
    [
        "other.md",
        "other.md#get-rollout-and-its_reply",
        "#page",
        "https://example.org/a?b=c#d",
        "mailto:a@example.org",
    ],
)
def test_a_valid_link_is_accepted(tmp_path: Path, link: str) -> None:
    assert problems(tmp_path, link) == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("missing.md", "points to missing.md, which does not exist"),
        ("other.md#another", "names an anchor that other.md does not have"),
        ("#nowhere", "names an anchor that page.md does not have"),
        ("../outside.md", "leaves the repository"),
        ("https://example", "is not a valid http, https or mailto URL"),
        ("http:/example.org", "is not a valid http, https or mailto URL"),
        ("htps://example.org", "is not a valid http, https or mailto URL"),
        ("https://[example", "is not a valid URL"),
    ],
)
def test_a_broken_link_is_reported_with_its_page_and_the_reason(
    tmp_path: Path, link: str, problem: str
) -> None:
    assert problems(tmp_path, link) == [f"page.md: the link '{link}' {problem}"]


def test_a_missing_picture_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('![A picture](a.png)\n\n<img src="b.png">\n', encoding="utf-8")
    assert len(list(CHECK(page, tmp_path))) == 2


def test_a_link_in_a_code_block_is_text(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```\n[a](missing.md)\n```\n", encoding="utf-8")
    assert list(CHECK(page, tmp_path)) == []
