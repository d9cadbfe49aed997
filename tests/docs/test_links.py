"""Links between pages: each leads somewhere, and every page is found from the two front pages."""

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
FRONT_PAGES: Final = (ROOT / "README.md", DOCS / "index.md")
PAGES: Final = [*pages(), ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    broken = [
        f"{target}#{anchor}"
        for target, anchor in links_of(page)
        if not target.exists() or (anchor and anchor not in anchors_of(target))
    ]
    assert broken == []


@pytest.mark.parametrize("front", FRONT_PAGES, ids=name_of)
def test_every_page_is_linked_from_the_front_pages(front: Path) -> None:
    linked = {target for target, _ in links_of(front)}
    wanted = {page for page in pages() if DOCS in page.parents and page not in FRONT_PAGES}
    assert sorted(name_of(page) for page in wanted - linked) == []


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of each link that stays within the repository."""
    for link in LINK.findall(BLOCK.sub("", page.read_text("utf-8"))):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            yield ((page.parent / path).resolve() if path else page), anchor


def anchors_of(page: Path) -> set[str]:
    headings = HEADING.findall(BLOCK.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
