"""`memoize`: the decorator as a call, for functions of other people."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import json
import math
import operator
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, UnkeyableArgument, UsageError
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour


class Api:
    """Stands for an object of somebody else's, which is no value."""

    def __init__(self) -> None:
        self.calls = 0

    def get(self, path: str) -> str:
        self.calls += 1
        return f"answer to {path}"

    async def get_later(self, path: str) -> str:
        return self.get(path)


def test_a_method_of_an_object_of_others_is_cached_in_its_colour(
    colour: Colour, backend_url: str
) -> None:
    cache, api = colour.cache(backend_url, namespace="shop", front=100), Api()
    original: Any = api.get_later if colour.is_async else api.get
    get = cache.memoize(original, key="api:{path}", ttl="1m", tags=["api"])
    for _ in range(3):
        assert colour.run(get, "/a") == colour.run(get, path="/a") == "answer to /a"
    assert api.calls == 1
    assert get.key_for("/a") == "api:/a"
    assert inspect.iscoroutinefunction(get) is colour.is_async
    assert get.__wrapped__ == original
    assert colour.run(get.invalidate, "/a").removed == 1
    colour.run(get, "/a")
    assert api.calls == 2
    colour.run(original, "/a")
    assert api.calls == 3


MADE_IN_C: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (math.factorial, (5,), "math.factorial:5"),
    (operator.add, (2, 3), "_operator.add:2:3"),
    (len, ([1, 2],), "builtins.len:list(1,2)"),
    (max, (1, 2), "builtins.max:(1,2):dict()"),
    (int, ("12",), "builtins.int:('12'):dict()"),
    (str.upper, ("abc",), "builtins.str.upper:'abc'"),
    ("-".join, (["a", "b"],), "builtins.str.join:'-':list('a','b')"),
    (
        dt.date.fromisoformat,
        ("2020-01-01",),
        # It tells its parameters from 3.13 on.
        "datetime.date.fromisoformat:datetime.date:'2020-01-01'"
        if sys.version_info >= (3, 13)
        else "datetime.date.fromisoformat:datetime.date:('2020-01-01'):dict()",
    ),
    (functools.partial(pow, 2), (10,), "builtins.pow:2:10:None"),
    (functools.partial(int, base=2), ("101",), "builtins.int:base=2:('101'):dict()"),
    (functools.partial(max, 5), (7,), "builtins.max:5:(7):dict()"),
    (json.loads, ("[1]",), "json.loads:'%5B1%5D':None:None:None:None:None:None:dict()"),
]


@pytest.mark.parametrize(
    ("function", "args", "key"), MADE_IN_C, ids=[key for _, _, key in MADE_IN_C]
)
def test_builtins_partials_classes_and_their_methods_are_cached(
    backend_url: str, function: Callable[..., Any], args: tuple[Any, ...], key: str
) -> None:
    with Cache(patient(backend_url), namespace="shop") as cache:
        cached = cache.memoize(function)
        assert cached(*args) == cached(*args) == function(*args)
        assert cached.key_for(*args) == key
        assert cached.cache_info()[:2] == (1, 1)


def test_two_partials_of_one_function_have_entries_of_their_own() -> None:
    cache = Cache("memory://")
    twice, thrice = (cache.memoize(functools.partial(operator.mul, by)) for by in (2, 3))
    assert (twice(5), thrice(5), twice(5)) == (10, 15, 10)


def test_a_method_of_an_object_that_is_no_value_needs_a_key() -> None:
    with pytest.raises(UnkeyableArgument) as caught:
        Cache("memory://").memoize(Api().get)
    assert caught.value.code == "DC112"


@pytest.mark.parametrize("given", ["user", 5, None, {"ttl": 5}])
def test_what_is_no_function_is_refused(given: Any) -> None:
    with pytest.raises(UsageError) as caught:
        Cache("memory://").memoize(given, ttl=5)
    assert caught.value.code == "DC126"


def test_the_options_are_checked_as_those_of_the_decorator() -> None:
    with pytest.raises(UsageError, match=r"factorial\(\) has no option tll") as caught:
        Cache("memory://").memoize(math.factorial, tll=5)  # type: ignore[call-arg]
    assert caught.value.help == "did you mean ttl?"
