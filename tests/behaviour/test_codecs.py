"""Every codec through a whole cache: what it keeps, whom it trusts, how much it may expand to."""

from __future__ import annotations

import json
import pickle
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import Loaded, NotStored, Unusable
from dualcache.codecs.compare import is_same
from dualcache.core.codec_ids import COMPRESSED, SIGNED, CodecId
from dualcache.core.entry import Packed
from dualcache.core.envelope import open_envelope, seal
from tests.behaviour.seen import Seen
from tests.codecs.test_compress import NAME, is_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

SECRET: Final = "a s3cret that is quite long"
PLAIN: Final[list[Any]] = [None, "", [], {"a": [1, 2.5, None, True, "ü\x00"]}]
OTHER: Final[list[Any]] = [(1,), {1: 2}, b"x", float("nan"), 2**70, "\ud800"]


def counted(
    colour: Colour, cache: Cache, value: Any, **options: Any
) -> tuple[Callable[..., Any], list[int]]:
    calls: list[int] = []

    def body() -> Any:
        calls.append(1)
        return value

    del body.__annotations__["return"]
    return cache(key="k", **options)(colour.function(body)), calls


@pytest.mark.parametrize("options", [{}, {"secret": SECRET}, {"front": 100}], ids=str)
@pytest.mark.parametrize("value", [*PLAIN, *OTHER], ids=ascii)
@pytest.mark.parametrize("codec", [None, "json", "msgpack", "tagged"])
def test_a_hit_gives_what_the_miss_gave_or_there_is_none(
    colour: Colour, backend_url: str, codec: str, value: Any, options: dict[str, Any]
) -> None:
    cache = colour.cache(backend_url, codec=codec, **options)
    load, calls = counted(colour, cache, value)
    for _ in range(3):
        assert is_same(colour.run(load), value)
    if value in PLAIN or codec in (None, "tagged"):
        assert len(calls) == 1


@pytest.mark.parametrize("front", [None, 100])
@pytest.mark.parametrize("value", ["", "text", "\ud800", b"", b"\x00\xff", 5, bytearray(b"x")])
def test_raw_keeps_text_and_bytes_and_nothing_else(
    colour: Colour, backend_url: str, value: Any, front: int | None
) -> None:
    cache = colour.cache(backend_url, front=front)
    seen = Seen(cache)
    load, calls = counted(colour, cache, value, codec="raw")
    for _ in range(3):
        assert is_same(colour.run(load), value)
    assert len(calls) == (1 if type(value) in (str, bytes) else 3)
    assert seen.count(NotStored) == (0 if type(value) in (str, bytes) else 1)


def test_what_json_stores_other_programs_read(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url, codec="json")
    load, _ = counted(colour, cache, {"name": "Zoë", "tags": [1, None]})
    colour.run(load)
    stored = open_envelope("k", redis_server.cli("GET", "k"))
    assert stored.codec == CodecId.JSON
    assert json.loads(bytes(stored.payload)) == {"name": "Zoë", "tags": [1, None]}


class Session:
    """Kept by pickle alone: it has no fields that anybody knows."""

    def __init__(self, user: str) -> None:
        self.user = user

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Session) and self.user == other.user

    __hash__ = None  # type: ignore[assignment]  # as of anything that can be changed


@pytest.mark.parametrize("front", [None, 100])
def test_pickle_gives_each_caller_a_copy_of_his_own(
    colour: Colour, backend_url: str, front: int | None
) -> None:
    cache = colour.cache(backend_url, codec="pickle", secret=SECRET, front=front)
    load, calls = counted(colour, cache, Session("ada"))
    colour.run(load).user = "changed"
    for _ in range(3):
        found = colour.run(load)
        assert found == Session("ada")
        found.user = "changed"
    assert len(calls) == 1


def test_secrets_are_rotated_without_losing_what_is_stored(
    colour: Colour, redis_server: Server
) -> None:
    old, new = "the old s3cret, quite long", "the new s3cret, quite long"
    before, during, after = (
        colour.cache(redis_server.url, codec="pickle", secret=secret)
        for secret in (old, [new, old], [new])
    )
    first, calls = counted(colour, before, Session("ada"), tags=["users"])
    colour.run(first)
    second, more = counted(colour, during, Session("eve"), tags=["users"])
    assert colour.run(second) == Session("ada")  # signed by the old one, and still read
    colour.run(second.refresh)  # type: ignore[attr-defined]  # a cached function
    third, most = counted(colour, after, Session("bob"), tags=["users"])
    assert colour.run(third) == Session("eve")  # signed by the new one since
    assert colour.run(first) == Session("ada")  # who does not know the new one loads
    assert (len(calls), len(more), len(most)) == (2, 1, 0)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("flags", [0, SIGNED])
@pytest.mark.parametrize("codec", [None, "pickle"])
def test_a_pickle_that_nobody_signed_is_never_read(
    colour: Colour, redis_server: Server, codec: str | None, flags: int
) -> None:
    cache = colour.cache(redis_server.url, codec=codec, secret=SECRET)
    seen = Seen(cache)
    payload = bytes(16) * (flags // SIGNED) + pickle.dumps(Bomb())
    redis_server.cli("SET", "k", entry(Packed(CodecId.PICKLE, flags, payload)))
    load, calls = counted(colour, cache, 1)
    assert [colour.run(load), colour.run(load)] == [1, 1]
    assert len(calls) == 1
    assert seen.of(Unusable)[0].reason in {"signature", "codec"}


def entry(packed: Packed) -> bytes:
    return seal("k", packed, version=b"12345678", created_ms=1, fresh_ms=None, load_ms=1)


@pytest.mark.skipif(not is_installed(), reason="zstd is an extra")
@pytest.mark.parametrize("codec", [CodecId.MSGPACK, CodecId.RAW_BYTES, CodecId.RAW_TEXT])
def test_a_decompression_bomb_is_a_miss(
    colour: Colour, redis_server: Server, codec: CodecId
) -> None:
    cache = colour.cache(redis_server.url, max_value_bytes=100_000)
    seen = Seen(cache)
    frame = import_module(NAME).compress(bytes(50_000_000))
    assert len(frame) < 100_000
    redis_server.cli("SET", "k", entry(Packed(codec, COMPRESSED, frame)))
    load, calls = counted(colour, cache, 1)
    assert [colour.run(load), colour.run(load)] == [1, 1]
    assert len(calls) == 1
    assert {event.reason for event in seen.of(Unusable)} <= {"compression", "oversized"}
    assert seen.count(Unusable) > 0


class Faulty:
    """A codec of the user's that fails in every way."""

    def __init__(self, *, encode: Any = None, decode: Any = None) -> None:
        self._encode, self._decode = encode, decode

    def encode(self, value: Any, /) -> bytes:
        if isinstance(self._encode, Exception):
            raise self._encode
        return self._encode or json.dumps(value).encode()

    def decode(self, data: bytes, /) -> Any:
        if isinstance(self._decode, Exception):
            raise self._decode
        return json.loads(data)


@pytest.mark.parametrize(
    ("codec", "outcome", "loads"),
    [
        (Faulty(), "stored", 1),
        (Faulty(encode=ValueError("no")), "unencodable", 3),
        (Faulty(encode="no bytes"), "unencodable", 3),
        (Faulty(encode=RecursionError()), "unencodable", 3),
        (Faulty(decode=KeyError("no")), "stored", 3),
        (Faulty(decode=StopIteration()), "stored", 3),
    ],
    ids=["good", "raises", "no bytes", "too deep", "cannot read", "stops"],
)
def test_a_codec_of_the_users_that_fails_costs_a_load_and_nothing_else(
    colour: Colour, backend_url: str, codec: Faulty, outcome: str, loads: int
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)
    load, calls = counted(colour, cache, {"a": [1]}, codec=codec)
    for _ in range(3):
        assert colour.run(load) == {"a": [1]}
    assert len(calls) == loads
    assert {event.outcome for event in seen.of(Loaded)} == {outcome}
