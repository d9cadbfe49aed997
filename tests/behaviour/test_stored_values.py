"""What is said of values that are not stored, and of stored bytes that are no values."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import Cache, Loaded, NotStored, UnencodableValue, Unusable, UsageError
from tests.behaviour.seen import Seen
from tests.codecs.test_compress import NAME, is_installed

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server

TOO_MANY_TAGS: Final = 65_536


def outcomes(seen: Seen) -> list[str]:
    return [event.outcome for event in seen.of(Loaded)]


def test_a_load_that_no_codec_keeps_is_told_apart_from_one_that_is_not_to_be_stored(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)

    def body(item: int) -> Any:
        return item or object()

    load = cache(key="k:{item}", condition=lambda result, _: result != 1)(colour.function(body))
    for item in (0, 1, 2):
        colour.run(load, item)
    assert outcomes(seen) == ["unencodable", "not_stored", "stored"]


def test_a_value_whose_tags_do_not_fit_is_returned_and_not_stored(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)

    def body() -> int:
        return 1

    tags = [str(number) for number in range(TOO_MANY_TAGS)]
    load = cache(key="k", tags=lambda _: tags)(colour.function(body))
    assert [colour.run(load), colour.run(load)] == [1, 1]
    assert outcomes(seen) == ["unencodable", "unencodable"]
    assert seen.count(NotStored) == 1
    assert seen.count(Unusable) == 0


def test_bytes_that_are_foreign_or_cut_short_have_labels_of_their_own(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)
    seen = Seen(cache)
    colour.call(cache, "set", "k", "text")
    cut_short = redis_server.cli("GET", "k")[:10]
    for what in (b"whatever lies here, and is of nobody", b"", cut_short):
        redis_server.cli("SET", "k", what)
        assert colour.call(cache, "get", "k", "nothing") == "nothing"
    assert [event.reason for event in seen.of(Unusable)] == ["foreign", "foreign", "truncated"]


def test_a_moved_value_a_missing_signature_and_another_type_have_labels_of_their_own(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)
    signing = colour.cache(redis_server.url, secret="a s3cret that is quite long")
    seen, seen_by_signing = Seen(cache), Seen(signing)
    colour.call(cache, "set", "a", "text")
    colour.call(signing, "get", "a")
    redis_server.cli("RENAME", "a", "b")
    colour.call(cache, "get", "b")
    redis_server.cli("LPUSH", "c", "1")
    colour.call(cache, "get", "c")
    assert [event.reason for event in seen_by_signing.of(Unusable)] == ["signature"]
    assert [event.reason for event in seen.of(Unusable)] == ["checksum", "foreign"]


TEXT: Final = "as often as not, " * 1000


def test_a_value_over_max_value_bytes_is_returned_and_not_stored(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, max_value_bytes=100)
    seen = Seen(cache)

    def body() -> str:
        return TEXT

    limited = cache(key="limited")(colour.function(body))
    allowed = cache(key="allowed", max_value_bytes=100_000)(colour.function(body))
    for load in (limited, allowed, allowed):
        assert colour.run(load) == TEXT
    assert outcomes(seen) == ["unencodable", "stored"]
    (told,) = seen.of(NotStored)
    assert "max_value_bytes" in told.help
    with pytest.raises(UnencodableValue) as caught:
        colour.call(cache, "set", "direct", TEXT)
    assert caught.value.code == "DC301"


def test_a_stored_value_over_max_value_bytes_is_not_read(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)
    limited = colour.cache(redis_server.url, max_value_bytes=100)
    seen = Seen(limited)
    colour.call(cache, "set", "k", TEXT)
    assert colour.call(limited, "get", "k", "nothing") == "nothing"
    assert [event.reason for event in seen.of(Unusable)] == ["oversized"]


@pytest.mark.skipif(not is_installed(), reason="zstd is an extra")
def test_what_is_over_compress_above_takes_less_room_on_the_server(
    colour: Colour, redis_server: Server
) -> None:
    def body(item: int) -> str:
        return TEXT

    small = colour.cache(redis_server.url, namespace="small", compress_above=1_000)
    large = colour.cache(redis_server.url, namespace="large")
    loads = [
        small(key="{item}")(colour.function(body)),
        large(key="{item}")(colour.function(body)),
        large(key="own:{item}", compress_above=1_000)(colour.function(body)),
        small(key="own:{item}", compress_above=None)(colour.function(body)),
        small(key="over:{item}", compress_above=100_000)(colour.function(body)),
    ]
    for load in (*loads, *loads):
        assert colour.run(load, 1) == TEXT
    names = ("small:1", "large:1", "large:own:1", "small:own:1", "small:over:1")
    sizes = [redis_server.cli("STRLEN", name) for name in names]
    assert [size < len(TEXT) for size in sizes] == [True, False, True, False, False]
    assert colour.call(large, "peek", "own:1").value == TEXT


@pytest.mark.parametrize(
    "options",
    [
        {"max_value_bytes": 0},
        {"max_value_bytes": "1MB"},
        {"compress_above": -1},
        {"compress_above": True},
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_right_is_refused_where_it_is_written(
    options: dict[str, Any],
) -> None:
    with pytest.raises(UsageError) as caught:
        Cache("memory://", **options)
    assert caught.value.code == "DC175"
    cache = Cache("memory://")
    with pytest.raises(UsageError) as caught:
        cache(key="k", **options)(lambda: 1)
    assert caught.value.code == "DC175"


def test_compression_without_zstd_is_refused_where_it_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, NAME, None)
    with pytest.raises(UsageError) as caught:
        Cache("memory://", compress_above=1_000)
    assert caught.value.code == "DC173"
    cache = Cache("memory://")
    with pytest.raises(UsageError) as caught:
        cache(key="k", compress_above=1_000)(lambda: 1)
    assert caught.value.code == "DC173"
    assert "dualcache[zstd]" in caught.value.help
