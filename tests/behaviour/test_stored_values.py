"""What is said of values that are not stored, and of stored bytes that are no values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache import Loaded, NotStored, Unusable
from tests.behaviour.seen import Seen

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
        return item if item else object()

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
