"""Direct loads and stores take the options of the decorator that need no signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import NotStored, UsageError
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import Clock

if TYPE_CHECKING:
    from tests.colours import Colour

STORES = pytest.mark.parametrize("method", ["set", "set_many", "add"])
LOADS = pytest.mark.parametrize("method", ["get_or_load", "get_or_load_many"])


class Reversed:
    """A codec of the user's."""

    def encode(self, value: Any, /) -> bytes:
        return str(value)[::-1].encode()

    def decode(self, data: bytes, /) -> Any:
        return data.decode()[::-1]


def loaded(cache: Any, colour: Colour, method: str, value: Any, **options: Any) -> Any:
    """Load one key by either method, with a function that gives `value`."""
    if method == "get_or_load":
        return colour.call(cache, method, "k", lambda: value, **options)
    return colour.call(cache, method, ["k"], lambda keys: dict.fromkeys(keys, value), **options)[
        "k"
    ]


def stored(cache: Any, colour: Colour, method: str, value: Any, **options: Any) -> None:
    """Store a value under one key by any of the methods."""
    given = [{"k": value}] if method == "set_many" else ["k", value]
    assert colour.call(cache, method, *given, **options)


def fail() -> None:
    raise OSError


@STORES
def test_a_value_that_was_given_stands_in_for_a_load_that_fails(
    method: str, colour: Colour, backend_url: str
) -> None:
    clock = Clock()
    cache = colour.cache(backend_url, clock=clock)
    stored(cache, colour, method, "given", ttl=10, stale_if_error=50)
    clock.advance(15)
    assert colour.call(cache, "get", "k") is None
    assert colour.call(cache, "get_or_load", "k", fail, stale_if_error=50) == "given"


@STORES
def test_a_value_that_was_given_may_be_compressed(
    method: str, colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    stored(cache, colour, method, "x" * 10_000, compress_above=100, check=False)
    assert colour.call(cache, "get", "k") == "x" * 10_000


@STORES
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"stale_if_error": "5 parsecs"}, "DC150"),
        ({"codec": "json"}, "DC151"),
        ({"jitter": 0.5}, "DC151"),
    ],
    ids=str,
)
def test_an_option_of_a_store_that_cannot_be_right_is_refused(
    method: str, options: dict[str, Any], code: str, colour: Colour
) -> None:
    cache = colour.cache("memory://")
    with pytest.raises(UsageError) as caught:
        stored(cache, colour, method, "value", **options)
    assert caught.value.code == code


@LOADS
def test_a_direct_load_stores_and_reads_with_a_codec_of_its_own(
    method: str, colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, namespace="test")
    codec = Reversed()
    assert loaded(cache, colour, method, "old", codec=codec) == "old"
    assert loaded(cache, colour, method, "new", codec=codec) == "old"


@LOADS
def test_a_direct_load_may_bound_what_it_stores(
    method: str, colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, namespace="test")
    seen = Seen(cache)
    large = "x" * 1_000
    assert loaded(cache, colour, method, large, max_value_bytes=100) == large
    assert [event.reason for event in seen.of(NotStored)] == [
        "a value takes 1003 bytes, more than max_value_bytes=100"
    ]
    assert loaded(cache, colour, method, "small", max_value_bytes=100) == "small"
    assert loaded(cache, colour, method, "other", max_value_bytes=100) == "small"


@LOADS
def test_what_a_direct_load_compressed_is_read_by_every_reader(
    method: str, colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, namespace="test")
    large = "x" * 10_000
    assert loaded(cache, colour, method, large, compress_above=100, check=False) == large
    assert colour.call(cache, "get", "k") == large


@LOADS
def test_a_direct_load_may_keep_nothing_in_front(
    method: str, colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, namespace="test", front=100)
    for _ in range(3):
        assert loaded(cache, colour, method, "value", front=False) == "value"
    front = cache.stats().front
    assert front is not None
    assert (front.entries, front.hits) == (0, 0)
    for _ in range(3):
        assert loaded(cache, colour, method, "value", front=True) == "value"


@LOADS
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"front": 5}, "DC152"),
        ({"codec": "jsn"}, "DC171"),
        ({"codec": "pickle"}, "DC170"),
        ({"compress_above": "1 MB"}, "DC175"),
        ({"vary": str}, "DC151"),
    ],
    ids=str,
)
def test_an_option_that_cannot_be_right_is_refused(
    method: str, options: dict[str, Any], code: str, colour: Colour
) -> None:
    cache = colour.cache("memory://")
    with pytest.raises(UsageError) as caught:
        loaded(cache, colour, method, "value", **options)
    assert caught.value.code == code
