"""What people read is plain English: pages, fragments, public docstrings, errors and log lines."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.pages import ROOT, name_of, pages
from tests.docs.plain_english import docstrings, remarks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOT_YET: Final = frozenset[str]()
"""Pages and modules that are still to be rewritten; the aim is an empty set."""
CODE_BLOCK: Final = re.compile(r"^```.*?^```|^    .*?$", re.MULTILINE | re.DOTALL)
TREE: Final = re.compile(r"^.*[├└│].*$", re.MULTILINE)
"""Lines of a drawing, which is no sentence."""
FRAGMENTS: Final = sorted((ROOT / "docs/changelog.d").glob("*.md"))
PAGES: Final = [*pages(), *FRAGMENTS, ROOT / "CONTRIBUTING.md"]
PACKAGES: Final = sorted({path.parent for path in (ROOT / "dualcache").rglob("*.py")})


def remarks_on(text: str) -> list[str]:
    return [f"{one.found!r}: {one.instead}" for one in remarks(text)]


def texts(source: str) -> Iterator[str]:
    """Yield each text of a module that is long enough to be a sentence; docstrings are not."""
    nodes = [*ast.walk(ast.parse(source))]
    whole = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    left_out = {part for node in whole for part in node.values}
    left_out |= {node.value for node in nodes if isinstance(node, ast.Expr)}
    for node in whole:
        parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        yield "".join(str(part) for part in parts)
    for each in nodes:
        if isinstance(each, ast.Constant) and each not in left_out:
            yield each.value if isinstance(each.value, str) else ""


def found_in(path: Path) -> list[str]:
    """Return the remarks on a page, or on the public docstrings and the texts of a module."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        return remarks_on(CODE_BLOCK.sub("", text))
    written = [TREE.sub("", docstring) for _, docstring in docstrings(text)]
    return [remark for each in (*written, *texts(text)) for remark in remarks_on(each)]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_page_is_plain(path: Path) -> None:
    assert name_of(path) in NOT_YET or found_in(path) == []


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_a_package_speaks_plainly(package: Path) -> None:
    """Its public docstrings do, and its errors, warnings, log lines and commands."""
    found = {name_of(path): found_in(path) for path in package.glob("*.py")}
    assert {name: left for name, left in found.items() if left and name not in NOT_YET} == {}


def test_a_page_that_is_plain_by_now_is_held_to_it() -> None:
    assert [name for name in sorted(NOT_YET) if not found_in(ROOT / name)] == []
