"""What django-redis adds: `ttl`, `keys`, `delete_pattern`, `lock`; and invalidation by tags."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import CacheKeyWarning, caches

from dualcache import MissingClientError, UsageError
from tests.integrations.django.test_names import made_key

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.integrations.django.project import Face, Project


def test_what_a_value_has_left(cache: Face) -> None:
    cache.set("key", 1, 100)
    assert 90 < cache.ttl("key") <= 100
    assert 90_000 < cache.pttl("key") <= 100_000
    cache.set("key", 1, 0.9)
    assert cache.ttl("key") == 1
    cache.set("ever", None, None)
    assert (cache.ttl("ever"), cache.pttl("ever")) == (None, None)
    assert (cache.ttl("none"), cache.pttl("none")) == (0, 0)


def test_keys_are_listed_by_pattern_of_one_prefix_and_version(project: Project) -> None:
    cache = project.use(prefix=project.entry(KEY_PREFIX="a*[b]"))
    prefix = project.face("prefix")
    cache.set_many({"user:1": 1, "user:2": 2, "shop": 3})
    cache.set("user:3", 3, version=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheKeyWarning)
        prefix.set_many({"user:4": 4, "a b*%": 5})
    assert sorted(cache.keys("user:*")) == ["user:1", "user:2"]
    assert sorted(cache.keys()) == ["shop", "user:1", "user:2"]
    assert cache.keys("user:?", version=2) == ["user:3"]
    assert sorted(prefix.keys("*")) == ["a b*%", "user:4"]
    assert prefix.keys(r"a b\**") == ["a b*%"]
    assert cache.delete_pattern("user:[12]") == 2
    assert cache.delete_pattern("user:*") == 0
    assert cache.keys() == ["shop"]
    assert prefix.delete_pattern("*") == 2
    assert cache.keys("user:*", version=2) == ["user:3"]


def test_keys_are_iterated_over(colour: Colour, cache: Face) -> None:
    cache.set_many({"a": 1, "b": 2})
    backend = caches["default"]

    async def collected() -> list[str]:
        return [key async for key in backend.aiter_keys("[ab]")]

    found = colour.run(collected) if colour.is_async else [*backend.iter_keys("[ab]")]
    assert sorted(found) == ["a", "b"]


def reversed_key(name: str) -> str:
    return name.split("-", 3)[3]


@pytest.mark.parametrize("reverse", [reversed_key, f"{__name__}.reversed_key"])
def test_keys_of_a_function_are_told_by_its_reverse(project: Project, reverse: Any) -> None:
    entry = project.entry(KEY_FUNCTION=made_key, REVERSE_KEY_FUNCTION=reverse)
    cache = project.use(default=entry)
    cache.set("user-1", 1)
    assert cache.keys("user-*") == ["user-1"]


def test_without_its_reverse_keys_of_a_function_cannot_be_told(project: Project) -> None:
    cache = project.use(default=project.entry(KEY_FUNCTION=made_key))
    cache.set("user-1", 1)
    with pytest.raises(UsageError) as caught:
        cache.keys()
    assert caught.value.code == "DC442"
    assert cache.delete_pattern("user-*") == 1


def test_a_lock_is_that_of_redis_py_and_survives_a_clear(colour: Colour, cache: Face) -> None:
    backend = caches["default"]
    if cache.dualcache.stats().backend == "memory://":
        with pytest.raises(MissingClientError):
            backend.lock("job")
        return
    cache.set("job", 1)

    async def held_and_refused() -> list[bool]:
        async with backend.alock("job", timeout=30):
            await backend.aclear()
            return [await backend.alock("job").acquire(blocking=False)]

    if colour.is_async:
        refused = colour.run(held_and_refused)
    else:
        with backend.lock("job", timeout=30):
            backend.clear()
            refused = [backend.lock("job").acquire(blocking=False)]
    assert refused == [False]
    assert cache.get("job") is None


def test_entries_die_by_their_tags(cache: Face) -> None:
    cache.set("a", 1, tags=["users"])
    cache.add("b", 1, tags=["users"])
    cache.set_many({"c": 1, "d": 1}, tags=["users", "shop"])
    cache.get_or_set("e", 1, tags=["users"])
    cache.set("f", 1)
    assert cache.invalidate(tags=["users"]).tags == 1
    assert cache.get_many("abcdef") == {"f": 1}


def test_invalidate_takes_keys_and_patterns_of_a_version(cache: Face) -> None:
    cache.set_many({"a": 1, "b:1": 1, "b:2": 1, "c": 1}, version=2)
    cache.set("a", 1)
    assert cache.invalidate("a", version=2, patterns=["b:*"]).removed == 3
    assert cache.get_many(["a", "b:1", "b:2", "c"], version=2) == {"c": 1}
    assert cache.get("a") == 1
    cache.invalidate("c", version=2, hold=60)
    cache.get_or_set("c", 2, version=2)
    assert cache.has_key("c", version=2) is False
