from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from dualcache.keys.canonical import canonical
from dualcache.keys.main_module import imported_name, module_name


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ({}, None),
        ({"__file__": "/srv/scripts/job.py", "__spec__": None}, "job"),
        ({"__file__": "/srv/pkg/job.py", "__spec__": SimpleNamespace(name="pkg.job")}, "pkg.job"),
        ({"__file__": "scripts/__main__.py"}, "scripts.__main__"),
        ({"__spec__": SimpleNamespace(name="__main__"), "__file__": "job.py"}, "job"),
    ],
)
def test_a_main_module_is_called_as_others_import_it(
    names: dict[str, Any], name: str | None
) -> None:
    assert imported_name(names) == name


def test_values_of_classes_of_the_main_module_are_named_by_its_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import enum

    class Colour(enum.Enum):
        RED = 1

    Colour.__module__, Colour.__qualname__ = "__main__", "Colour"
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__file__="job.py"))
    assert canonical(Colour.RED) == "job.Colour.RED"
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace())
    assert canonical(Colour.RED) == "__main__.Colour.RED"
    assert module_name("somewhere") == "somewhere"
    monkeypatch.delitem(sys.modules, "__main__")
    assert module_name("__main__") == "__main__"
