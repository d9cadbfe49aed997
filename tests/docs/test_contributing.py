"""What CONTRIBUTING.md names is there: folders, modules and tests."""

from __future__ import annotations

import re
from typing import Final

from tests.docs.pages import ROOT

TEXT: Final = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
HOUSE: Final = ROOT / "dualcache"
DRAWN: Final = TEXT.partition("\n```\ndualcache/\n")[2].partition("```")[0]


def test_the_drawn_house_has_each_room_once_and_no_other() -> None:
    folders = {path.parent for path in HOUSE.rglob("*.py")} - {HOUSE}
    loose = set(HOUSE.glob("*.py")) - {HOUSE / "__init__.py"}
    rooms = [f"{path.name}/" for path in folders] + [path.name for path in loose]
    drawn = re.findall(r"(?<![\w/])(\w+(?:/|\.py))", DRAWN)
    assert [room for room in rooms if room not in drawn] == []
    there = {path.name + "/" * path.is_dir() for path in HOUSE.rglob("*")}
    assert [room for room in drawn if room not in there] == []


def test_the_files_that_are_named_exist() -> None:
    named = re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?|\w+\.py)`", TEXT)
    assert len(named) > 50
    # The map of the engine, and a list of one room, name modules without their folder.
    places = (ROOT, HOUSE, HOUSE / "engine", HOUSE / "backends/redis")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_the_tests_that_are_named_exist() -> None:
    words = re.findall(r'-k "(\w+)"', TEXT) + re.findall(r"`(test_\w+)`", TEXT)
    assert len(words) == 2
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    names = re.findall(r"def (test_\w+)", sources)
    assert [word for word in words if not any(word in name for name in names)] == []
