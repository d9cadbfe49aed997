"""Reading and writing by Django's cache API."""

from __future__ import annotations

import pickle
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import CacheKeyWarning
from django.utils.safestring import SafeString, mark_safe

from dualcache import UnencodableValue

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.integrations.django.project import Face, Project


class Unpicklable:
    def __getstate__(self) -> Any:
        raise pickle.PickleError


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


VALUES = [
    None,
    "",
    0,
    True,
    1.5,
    b"\xff",
    [1, (2, {3})],
    {"a": {1: None}},
    Decimal("1.10"),
    SafeString("<b>"),
    len,
    User,
    User(username="ada"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_was_set_is_got_in_type_and_value(cache: Face, value: Any) -> None:
    assert cache.set("key", value) is None
    found = cache.get("key", "default")
    assert type(found) is type(value)
    assert found == value or found.username == value.username
    assert cache.has_key("key") is True


def test_nothing_stored_gives_the_default(cache: Face) -> None:
    assert cache.get("key") is None
    assert cache.get("key", "default") == "default"
    assert cache.has_key("key") is False


def test_a_value_is_replaced_and_deleted(cache: Face) -> None:
    cache.set("key", 1)
    cache.set("key", 2)
    assert cache.get("key") == 2
    assert cache.delete("key") is True
    assert cache.delete("key") is False
    assert cache.get("key") is None


def test_many_values_are_set_read_and_deleted_together(cache: Face) -> None:
    assert cache.set_many({"a": 1, "b": None, "c": mark_safe("c")}) == []
    assert cache.get_many(iter(["a", "b", "none"])) == {"a": 1, "b": None}
    assert cache.delete_many(iter(["a", "b"])) is None
    assert cache.get_many(["a", "b", "c"]) == {"c": "c"}
    assert (cache.set_many({}), cache.get_many([]), cache.delete_many([])) == ([], {}, None)


def test_add_stores_only_where_nothing_is(cache: Face) -> None:
    assert cache.add("key", 1) is True
    assert cache.add("key", 2) is False
    assert cache.get("key") == 1


def test_of_many_callers_at_once_one_adds(colour: Colour, cache: Face) -> None:
    from django.core.cache import caches

    method = "aadd" if colour.is_async else "add"
    added = colour.gather(
        *(lambda number=n: getattr(caches["default"], method)("key", number) for n in range(10))
    )
    assert sorted(added) == [False] * 9 + [True]
    assert cache.get("key") == added.index(True)


@pytest.mark.parametrize("method", ["set", "add"])
def test_what_pickle_does_not_take_is_an_error_and_leaves_what_is_there(
    cache: Face, method: str
) -> None:
    cache.set("key", 1)
    with pytest.raises(pickle.PickleError) as caught:
        getattr(cache, method)("other" if method == "add" else "key", Unpicklable())
    assert isinstance(caught.value, UnencodableValue)
    assert type(caught.value.__cause__) is pickle.PickleError
    with pytest.raises(pickle.PickleError):
        cache.set_many({"key": 2, "other": Unpicklable()})
    assert cache.get_many(["key", "other"]) == {"key": 1}


def test_zero_and_less_store_nothing(cache: Face) -> None:
    for timeout in (0, -1):
        cache.set("key", 1)
        cache.set("key", 2, timeout)
        assert cache.get("key") is None
        assert cache.add("key", 3, timeout) is True
        assert cache.set_many({"key": 4}, timeout) == []
        assert cache.get_or_set("key", 5, timeout) == 5
        assert cache.get("key") is None
        cache.set("key", 1)
        assert cache.add("key", 3, timeout) is False
        assert cache.touch("key", timeout) is True
        assert cache.touch("key", timeout) is False
        assert cache.get("key") is None


def test_values_live_as_long_as_their_timeout(project: Project) -> None:
    if project.url != "memory://":
        pytest.skip("a server has a clock of its own; how it is told a ttl is tested elsewhere")
    clock = Clock()
    cache = project.use(default=project.entry(options={"clock": clock}, TIMEOUT=100))
    cache.set("default", 1)
    cache.set("short", 1, 0.5)
    cache.set("long", 1, timeout=200.5)
    cache.set("forever", 1, None)
    cache.add("added", 1, 200)
    cache.set_many({"many": 1}, 200)
    cache.get_or_set("loaded", 1, 50)
    clock.now += 99
    assert cache.get_many(["default", "short", "loaded"]) == {"default": 1}
    clock.now += 2
    assert cache.has_key("default") is False
    kept = cache.get_many(["long", "forever", "added", "many"])
    assert set(kept) == {"long", "forever", "added", "many"}
    assert cache.touch("long") is True
    assert cache.touch("many", None) is True
    assert cache.touch("default") is False
    clock.now += 150
    assert set(cache.get_many(["long", "forever", "added", "many"])) == {"forever", "many"}


def test_without_a_timeout_in_the_settings_it_is_five_minutes(project: Project) -> None:
    assert project.use().get_backend_timeout() == 300 if not project.colour.is_async else True


@pytest.mark.parametrize(
    "key",
    ["with space", "star:*", "*", "~tilde", "100%", "a%20b", "ключ", "\ud800", "a" * 600, "q?[x]"],
)
def test_every_text_is_a_key(cache: Face, key: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheKeyWarning)
        cache.set(key, 1)
        assert cache.get(key) == 1
        assert cache.incr(key) == 2
        assert cache.get_many([key]) == {key: 2}
        assert cache.delete(key) is True
        assert cache.get(key) is None
        cache.set(key, 1)
        cache.delete_many([key])
        assert cache.has_key(key) is False


def test_keys_that_look_alike_do_not_meet(cache: Face) -> None:
    keys = ["a b", "a%20b", "a%2520b", "*", "%2A", "%2a", "~", "%7E"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheKeyWarning)
        cache.set_many({key: key for key in keys})
        assert cache.get_many(keys) == {key: key for key in keys}


def test_a_key_that_memcached_would_refuse_is_warned_of(cache: Face) -> None:
    with pytest.warns(CacheKeyWarning, match="will cause errors if used with memcached"):
        cache.set("with space", 1)
