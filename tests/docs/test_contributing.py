"""What CONTRIBUTING.md names is there: folders, modules and tests."""

from __future__ import annotations

import re
from typing import Final

from tests.docs.pages import ROOT

TEXT: Final = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_places_of_the_table_exist() -> None:
    rows = [line.rpartition("| ")[2] for line in TEXT.splitlines() if line.startswith("| ")]
    named = [name for row in rows for name in re.findall(r"`([\w/]+(?:/|\.py))`", row)]
    assert len(named) > 5
    assert [name for name in named if not (ROOT / "dualcache" / name).exists()] == []


def test_the_tests_that_are_named_exist() -> None:
    words = re.findall(r'-k "(\w+)"', TEXT) + re.findall(r"`(test_\w+)`", TEXT)
    assert len(words) == 2
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    names = re.findall(r"def (test_\w+)", sources)
    assert [word for word in words if not any(word in name for name in names)] == []
