"""`get_or_set`: one load for all callers, which an invalidation revokes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import caches

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.integrations.django.project import Face, Project


def get_or_set(colour: Colour, key: str, default: Any) -> Any:
    backend = caches["default"]
    return (backend.aget_or_set if colour.is_async else backend.get_or_set)(key, default)


def test_the_default_is_a_value_or_a_function(cache: Face) -> None:
    assert cache.get_or_set("value", 1) == 1
    assert cache.get_or_set("value", 2) == 1
    assert cache.get_or_set("function", lambda: [1]) == [1]
    assert cache.get_or_set("class", dict) == {}
    assert cache.get_or_set("none", lambda: None) is None
    assert cache.get("none", "default") is None


def test_a_coroutine_function_is_a_default_for_async_code(colour: Colour, cache: Face) -> None:
    if not colour.is_async:
        pytest.skip("sync code has plain functions")

    async def load() -> int:
        return 1

    assert cache.get_or_set("key", load) == 1
    assert cache.get("key") == 1


def test_a_default_that_raises_stores_nothing(cache: Face) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("key", lambda: 1 // 0)
    assert cache.has_key("key") is False


def test_many_callers_load_once(colour: Colour, cache: Face) -> None:
    gate, loads = colour.gate(), list[int]()

    async def load() -> int:
        loads.append(1)
        await gate.passed()
        return 7

    default = colour.function(load)
    calls = [colour.start(lambda: get_or_set(colour, "key", default)) for _ in range(10)]
    gate.wait_until_entered()
    gate.open()
    assert [call.result() for call in calls] == [7] * 10
    assert len(loads) == 1


def test_a_deletion_meanwhile_keeps_the_value_from_being_stored(
    colour: Colour, cache: Face
) -> None:
    gate = colour.gate()

    async def load() -> str:
        await gate.passed()
        return "old"

    default = colour.function(load)
    call = colour.start(lambda: get_or_set(colour, "key", default))
    gate.wait_until_entered()
    cache.delete("key")
    gate.open()
    assert call.result() == "old"
    assert cache.has_key("key") is False


def test_two_processes_load_once(colour: Colour, project: Project) -> None:
    # Another option makes another Cache, with flights of its own, over the same names.
    project.use(other=project.entry(options={"jitter": 0.01}))
    if project.url == "memory://":
        pytest.skip("there each Cache has a store of its own")
    assert project.face().dualcache is not project.face("other").dualcache
    gate, loads = colour.gate(), list[str]()

    async def load() -> str:
        loads.append("load")
        await gate.passed()
        return "loaded"

    default = colour.function(load)

    def loaded(alias: str) -> Any:
        backend = caches[alias]
        return (backend.aget_or_set if colour.is_async else backend.get_or_set)("key", default)

    first = colour.start(lambda: loaded("default"))
    gate.wait_until_entered()
    others = [colour.start(lambda: loaded("other")) for _ in range(3)]
    gate.open()
    assert [call.result() for call in (first, *others)] == ["loaded"] * 4
    assert loads == ["load"]
