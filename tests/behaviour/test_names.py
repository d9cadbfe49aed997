"""A text where several names are meant is refused, wherever names are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import NotStored, UsageError
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from tests.colours import Colour

GIVEN: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("set", ("k", 1), {"tags": "users"}),
    ("set", ("k", 1), {"tags": b"users"}),
    ("set", ("k", 1), {"tags": None}),
    ("set_many", ({"k": 1},), {"tags": "users"}),
    ("get_or_load", ("k", lambda: 1), {"tags": "users"}),
    ("get_or_load_many", (["k"], lambda keys: dict.fromkeys(keys, 1)), {"tags": "users"}),
    ("get_or_load_many", ("k", lambda keys: dict.fromkeys(keys, 1)), {}),
    ("get_many", ("k",), {}),
    ("get_many", (b"k",), {}),
    ("get_many", (5,), {}),
    ("invalidate", (), {"tags": "users"}),
    ("invalidate", (), {"patterns": "k*"}),
]


@pytest.mark.parametrize(("method", "args", "kwargs"), GIVEN)
def test_a_text_in_the_place_of_names_is_refused_in_every_method(
    colour: Colour, backend_url: str, method: str, args: Any, kwargs: Any
) -> None:
    cache = colour.cache(backend_url)
    with pytest.raises(UsageError) as caught:
        colour.call(cache, method, *args, **kwargs)
    assert caught.value.code == "DC157"
    assert caught.value.help
    assert colour.call(cache, "get", "k") is None


@pytest.mark.parametrize("values", [[("k", 1)], "k", None])
def test_many_values_are_set_from_a_mapping(colour: Colour, backend_url: str, values: Any) -> None:
    cache = colour.cache(backend_url)
    with pytest.raises(UsageError, match="mapping") as caught:
        colour.call(cache, "set_many", values)
    assert caught.value.code == "DC179"


@pytest.mark.parametrize("tags", ["users", "", b"users", 5])
def test_a_text_in_the_place_of_tags_is_refused_at_decoration(colour: Colour, tags: Any) -> None:
    cache = colour.cache("memory://")
    with pytest.raises(UsageError) as caught:
        cache(key="k", tags=tags)(colour.function(lambda: 1))
    assert caught.value.code == "DC157"


@pytest.mark.parametrize("result", ["users", b"users", None, [5], [""]])
def test_tags_of_a_result_that_are_no_names_leave_it_unstored_and_are_told_once(
    colour: Colour, backend_url: str, result: Any
) -> None:
    cache = colour.cache(backend_url)
    seen, loads = Seen(cache), []

    def load() -> int:
        loads.append(1)
        return 7

    cached = cache(key="k", tags=lambda _: result)(colour.function(load))
    for _ in range(3):
        assert colour.run(cached) == 7
    assert len(loads) == 3
    assert seen.count(NotStored) == 1
    with pytest.raises(UsageError):
        colour.run(cached.store, 8)
    assert colour.call(cache, "get", "k") is None


def test_names_may_come_from_any_iterable_and_hold_for_every_key(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set_many", {"a": 1, "b": 2}, tags=iter(["users"]))
    colour.call(
        cache,
        "get_or_load_many",
        iter(["c", "d"]),
        lambda keys: dict.fromkeys(keys, 3),
        tags=(name for name in ["users"]),
    )
    assert colour.call(cache, "get_many", iter("abcd")) == {"a": 1, "b": 2, "c": 3, "d": 3}
    colour.call(cache, "invalidate", tags={"users"})
    assert colour.call(cache, "get_many", {"a": 0, "b": 0, "c": 0, "d": 0}) == {}
