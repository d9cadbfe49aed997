"""The pages of the documentation, and the code blocks in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
FENCE: Final = "```"
NOT_RUN: Final = re.compile(r"<!-- not run: \S.* -->")


class Block(NamedTuple):
    """One fenced block: its language, its text, the line it begins at, and whether it runs."""

    language: str
    text: str
    line: int
    is_run: bool


def pages() -> list[Path]:
    """Return every page that may hold code."""
    found = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    found += (ROOT / "examples").rglob("README.md")
    return sorted(page for page in found if page.parent.name != "changelog.d")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    found: list[Block] = []
    lines = page.read_text("utf-8").splitlines()
    began = language = None
    before = ""
    for number, line in enumerate(lines):
        if not line.startswith(FENCE):
            before = line.strip() if began is None and line.strip() else before
        elif began is None:
            began, language = number, line[len(FENCE) :].strip()
        else:
            text = "\n".join(lines[began + 1 : number])
            found.append(Block(language or "", text, began + 2, not NOT_RUN.fullmatch(before)))
            began, before = None, ""
    assert began is None, f"{name_of(page)}:{began}: a block is not closed"
    return found
