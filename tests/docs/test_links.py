"""Links between pages: each leads somewhere, and every page stands in the site's navigation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.pages import ROOT, name_of, pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
BLOCK: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
DOCS: Final = ROOT / "docs"
INDEX: Final = DOCS / "index.md"
TREE: Final = re.compile(r"^```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES: Final = [*pages(), ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    broken = [
        f"{target}#{anchor}"
        for target, anchor in links_of(page)
        if not target.exists() or (anchor and anchor not in anchors_of(target))
    ]
    assert broken == []


def test_every_page_stands_in_the_navigation_once() -> None:
    lines = [line for tree in TREE.findall(INDEX.read_text("utf-8")) for line in tree.splitlines()]
    entries = [line.rpartition("<")[2].rstrip(">") for line in lines]  # `title <page>`, or a page
    named = [page for entry in entries for page in sorted(DOCS.glob(f"{entry}.md"))]
    wanted = [page for page in pages() if DOCS in page.parents and page != INDEX]
    assert sorted(map(name_of, named)) == sorted(map(name_of, wanted))


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of each link that stays within the repository."""
    for link in LINK.findall(BLOCK.sub("", page.read_text("utf-8"))):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            yield ((page.parent / path).resolve() if path else page), anchor


def anchors_of(page: Path) -> set[str]:
    headings = HEADING.findall(BLOCK.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
