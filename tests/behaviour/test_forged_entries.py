"""Entries and internal keys that somebody else wrote: a miss each, and no trouble for anybody."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import BackendDown, Loaded, Unusable, WaitExpired
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import Packed, Tag
from dualcache.core.envelope import seal, seal_filling, seal_tombstone
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

SECRET: Final = "a s3cret that is quite long"
TOKEN: Final = b"12345678"


def forged(key: str, value: Any, *tags: bytes) -> bytes:
    """Spell an entry with tags of any names; a name of the same length stands in for each."""
    names = [Tag("t" * len(tag), TOKEN) for tag in tags]
    packed = make_value_codec().pack(value)
    raw = seal(key, packed, version=TOKEN, created_ms=1, fresh_ms=None, load_ms=1, tags=names)
    body = raw[8:]
    for name, tag in zip(names, tags, strict=True):
        body = body.replace(name.name.encode(), tag, 1)
    return resealed(key, raw[:4], body)


def resealed(key: str, head: bytes, body: bytes) -> bytes:
    from zlib import crc32

    check = crc32(body, crc32(head, crc32(key.encode())))
    return head + check.to_bytes(4, "big") + body


def counted(colour: Colour, cache: Cache, **options: Any) -> tuple[Callable[..., Any], list[int]]:
    calls: list[int] = []

    def body() -> int:
        calls.append(1)
        return 42

    return cache(key="k", **options)(colour.function(body)), calls


NAMES: Final = {
    "a lone surrogate": b"~t:\xed\xa0\x80",
    "no UTF-8": b"~t:\xff\xff",
    "a user's key": b"user:1",
    "the key itself": b"k",
    "another namespace": b"other:~t:users",
    "nothing": b"",
    "an end": b"~t:\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "a long one": b"~t:" + b"x" * 60_000,
    "one that does not exist": b"~t:nobody",
}


@pytest.mark.parametrize("tag", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("tags_of", [(), lambda _: ["mine"]])
def test_a_forged_tag_is_a_miss_and_harms_no_call(
    colour: Colour, redis_server: Server, tag: bytes, secret: str | None, tags_of: Any
) -> None:
    cache = colour.cache(redis_server.url, secret=secret)
    seen = Seen(cache)
    load, calls = counted(colour, cache, tags=tags_of)
    redis_server.cli("SET", "k", forged("k", "forged", tag, b"~t:users"))
    redis_server.cli("SET", "user:1", "a value of the user's")
    assert colour.call(cache, "get", "k") is None
    assert [colour.run(load), colour.run(load), colour.run(load)] == [42, 42, 42]
    assert len(calls) == (2 if tags_of else 1)  # tags of a result are known from the second on
    assert seen.count(BackendDown) == 0
    assert redis_server.cli("GET", "user:1") == b"a value of the user's"
    assert redis_server.cli("EXISTS", "other:~t:users") == 0


def test_an_entry_that_lost_its_tags_is_not_taken_for_signed(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url, secret=SECRET)
    seen = Seen(cache)
    load, calls = counted(colour, cache, tags=["users"])
    colour.run(load)
    raw = redis_server.cli("GET", "k")
    assert colour.run(load) == 42
    assert len(calls) == 1
    without = bytes([*raw[:3], raw[3] & ~0x10])
    at = raw.index(b"~t:users") + len(b"~t:users")
    start = raw.index(b"\x00\x01", 32)
    redis_server.cli("SET", "k", resealed("k", without, raw[8:start] + raw[at:]))
    colour.call(cache, "invalidate", tags=["users"])
    assert colour.call(cache, "get", "k") is None
    assert [event.reason for event in seen.of(Unusable)] == ["signature"]
    assert colour.run(load) == 42
    assert [event.outcome for event in seen.of(Loaded)] == ["stored", "stored"]


def test_followers_of_a_signed_load_get_copies_of_their_own(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, secret=SECRET)
    gate = colour.gate()

    async def body() -> list[list[int]]:
        await gate.passed()
        return [[1]]

    load = cache(key="k", tags=["t"])(colour.function(body))
    callers = [colour.start(load) for _ in range(4)]
    gate.open()
    results = [caller.result() for caller in callers]
    results[0][0].append(2)
    assert results[1:] == [[[1]]] * 3
    assert colour.run(load) == [[1]]


def test_what_an_endpoint_returns_is_signed_and_read(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, secret=SECRET)
    calls: list[int] = []

    def body(post_id: int) -> dict[str, int]:
        calls.append(post_id)
        return {"id": post_id}

    load = cache(key_prefix="post")(colour.function(body))
    assert [colour.run(load, 1), colour.run(load, 1)] == [{"id": 1}, {"id": 1}]
    assert calls == [1]


FOREIGN: Final = {
    "a list": ("LPUSH", "{}", "1"),
    "a hash": ("HSET", "{}", "a", "1"),
    "a short text": ("SET", "{}", "hello"),
    "nothing": ("SET", "{}", ""),
    "a long text": ("SET", "{}", "x" * 1_000),
    "a text with an end": ("SET", "{}", "hello", "PX", "99999999"),
}


@pytest.mark.parametrize("command", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_tag_under_the_key_of_a_tag_is_replaced(
    colour: Colour, redis_server: Server, command: tuple[str, ...]
) -> None:
    cache = colour.cache(redis_server.url)
    seen = Seen(cache)
    load, calls = counted(colour, cache, tags=["users", "others"])
    redis_server.cli(*(part.format("~t:users") for part in command))
    assert [colour.run(load) for _ in range(3)] == [42] * 3
    assert len(calls) == 1
    assert [event.reason for event in seen.of(Unusable)] == ["foreign"]
    redis_server.cli("DEL", "~t:users")
    redis_server.cli(*(part.format("~t:users") for part in command))
    assert [colour.run(load) for _ in range(3)] == [42] * 3
    assert len(calls) == 2
    colour.call(cache, "set", "direct", 1, tags=["users"])
    assert colour.call(cache, "get", "direct") == 1
    colour.call(cache, "invalidate", tags=["users"])
    assert colour.call(cache, "get", "direct") is None
    assert colour.run(load) == 42
    assert len(calls) == 3


@pytest.mark.parametrize("command", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_tag_under_the_base_of_variants_is_replaced(
    colour: Colour, redis_server: Server, command: tuple[str, ...]
) -> None:
    cache = colour.cache(redis_server.url)
    calls: list[int] = []

    def body(post_id: int, page: int = 1) -> int:
        calls.append(page)
        return page

    load = cache(key_prefix="post")(colour.function(body))
    redis_server.cli(*(part.format("~b:post:1") for part in command))
    assert [colour.run(load, 1, 2) for _ in range(3)] == [2] * 3
    assert calls == [2]
    colour.call(cache, "invalidate", "post:1")
    assert colour.run(load, 1, 2) == 2
    assert calls == [2, 2]


@pytest.mark.parametrize("command", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_lease_under_the_lease_of_a_stale_entry_is_replaced(
    colour: Colour, redis_server: Server, command: tuple[str, ...]
) -> None:
    now = [1_000.0]
    cache = colour.cache(redis_server.url, clock=lambda: now[0])
    seen = Seen(cache)
    load, calls = counted(colour, cache, ttl=10, stale_if_error=1_000)
    assert colour.run(load) == 42
    now[0] += 20
    redis_server.cli(*(part.format("~r:k") for part in command))
    assert [colour.run(load) for _ in range(3)] == [42] * 3
    assert len(calls) == 2
    assert [event.outcome for event in seen.of(Loaded)] == ["stored"] * 2
    assert seen.count(WaitExpired) == 0


@pytest.mark.parametrize("created_ms", [0, 1_000_000])
@pytest.mark.parametrize("load_ms", [0, 2**32 - 2])
@pytest.mark.parametrize("kind", ["filling", "tombstone"])
def test_a_marker_without_an_end_is_not_waited_for(
    colour: Colour, redis_server: Server, kind: str, created_ms: int, load_ms: int
) -> None:
    cache = colour.cache(redis_server.url)
    seen = Seen(cache)
    load, calls = counted(colour, cache)
    many = colour.function(lambda keys: dict.fromkeys(keys, 42))
    if kind == "filling":
        raw = seal_filling("k", token=TOKEN, created_ms=created_ms, load_ms=load_ms)
        other = seal_filling("l", token=TOKEN, created_ms=created_ms, load_ms=load_ms)
    else:
        raw = seal_tombstone("k", token=TOKEN, created_ms=created_ms)
        other = seal_tombstone("l", token=TOKEN, created_ms=created_ms)
    redis_server.cli("SET", "k", raw)
    redis_server.cli("SET", "l", other)
    assert [colour.run(load) for _ in range(3)] == [42] * 3
    assert len(calls) == 1
    assert colour.call(cache, "get_or_load_many", ["l", "m"], many) == {"l": 42, "m": 42}
    assert colour.call(cache, "get", "l") == 42
    assert seen.of(Loaded)[0].outcome == "stored"
    assert seen.count(WaitExpired) == 0


def test_a_marker_announces_no_more_than_was_measured_here(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)
    seen = Seen(cache)
    load, calls = counted(colour, cache)
    colour.run(load)
    raw = seal_filling("k", token=TOKEN, created_ms=0, load_ms=2**32 - 2)
    redis_server.cli("SET", "k", raw, "PX", "60000")
    began = time.monotonic()
    assert colour.run(load) == 42
    assert time.monotonic() - began < 10  # a second, where 30 were announced
    assert len(calls) == 2
    assert seen.count(WaitExpired) == 1


HOSTILE: Final = {
    "deep msgpack": (CodecId.MSGPACK, b"\x91" * 100_000),
    "deep tagged": (CodecId.TAGGED, b"\x91" * 100_000),
    "deep json": (CodecId.JSON, b"[" * 100_000),
    "a list that says it is long": (CodecId.MSGPACK, b"\xdd\xff\xff\xff\xff"),
    "a tagged text that says it is long": (CodecId.TAGGED, b"\xc6\xff\xff\xff\xff"),
    "half a dict": (CodecId.MSGPACK, b"\xdf\xff\xff\xff\xff\x01"),
    "json that is no text": (CodecId.JSON, b'"\xff\xfe"'),
    "a codec that does not exist": (250, b"x"),
}


@pytest.mark.parametrize(("codec", "payload"), HOSTILE.values(), ids=HOSTILE)
def test_a_payload_that_would_harm_its_reader_is_a_miss(
    colour: Colour, redis_server: Server, codec: int, payload: bytes
) -> None:
    cache = colour.cache(redis_server.url, codec="json" if codec == CodecId.JSON else None)
    seen = Seen(cache)
    load, calls = counted(colour, cache)
    packed = Packed(codec, 0, payload)
    raw = seal("k", packed, version=TOKEN, created_ms=1, fresh_ms=None, load_ms=1)
    redis_server.cli("SET", "k", raw)
    assert colour.call(cache, "get", "k", "none") == "none"
    assert [colour.run(load), colour.run(load)] == [42, 42]
    assert len(calls) == 1
    assert seen.of(Unusable)
    assert seen.count(BackendDown) == 0
