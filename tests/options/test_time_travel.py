from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dualcache.options.time_travel import time_traveller


def machine(*, is_travelling: bool) -> SimpleNamespace:
    return SimpleNamespace(escape_hatch=SimpleNamespace(is_travelling=lambda: is_travelling))


@pytest.mark.parametrize(
    ("modules", "library"),
    [
        ({}, None),
        ({"freezegun.api": SimpleNamespace(freeze_factories=[])}, None),
        ({"freezegun.api": SimpleNamespace(freeze_factories=[1])}, "freezegun"),
        ({"time_machine": machine(is_travelling=True)}, "time-machine"),
        ({"time_machine": machine(is_travelling=False)}, None),
        ({"time_machine": SimpleNamespace()}, None),
    ],
)
def test_the_library_that_moves_time_is_named(modules: dict[str, Any], library: str | None) -> None:
    assert time_traveller(modules) == library
