from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown, Hit, Loaded, Unusable, WaitExpired
from tests.behaviour.seen import Seen
from tests.colours import colour_of_every_io
from tests.proxy import Faults, flipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server

__all__ = ["colour_of_every_io"]  # a fixture, in the place of the other one


def counted(colour: Colour, cache: Cache, **options: Any) -> tuple[Any, list[int]]:
    loads: list[int] = []

    def body(n: int) -> dict[str, int]:
        loads.append(n)
        return {"n": n}

    return cache(key="k:{n}", **options)(colour.function(body)), loads


class Moving:
    """A clock that gains an hour per reading: the breaker never turns anybody away."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 4.0
        return self.now


def test_replies_in_pieces_of_one_byte_are_read(colour: Colour, proxy: Proxy) -> None:
    proxy.fault(requests=Faults(chunk_bytes=1), replies=Faults(chunk_bytes=1))
    cache = colour.cache(proxy.url)
    load, loads = counted(colour, cache, tags=["t"])
    for _ in range(3):
        assert colour.run(load, 1) == {"n": 1}
    assert loads == [1]


def test_a_cut_at_any_byte_of_any_reply_gives_the_right_value(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url, clock=Moving(), ttl=None)
    load, _ = counted(colour, cache)
    for after in range(1, 120):
        proxy.fault(replies=Faults(cut_after=after))
        assert colour.run(load, after % 3) == {"n": after % 3}
        assert colour.call(cache, "get", f"k:{after % 3}") in (None, {"n": after % 3})
    proxy.heal()
    proxy.reset()
    # Another key: by this clock the lost leases have ended already, at the server not yet.
    colour.run(load, 7)
    assert colour.call(cache, "get", "k:7") == {"n": 7}


def test_a_cut_at_any_byte_of_any_request_gives_the_right_value(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url, clock=Moving(), ttl=None)
    load, _ = counted(colour, cache)
    for after in range(1, 260, 3):
        proxy.fault(requests=Faults(cut_after=after))
        assert colour.run(load, after) == {"n": after}
    proxy.heal()
    proxy.reset()
    for after in range(1, 260, 3):
        assert colour.call(cache, "get", f"k:{after}") in (None, {"n": after})


def test_flipped_bits_on_the_wire_never_give_a_wrong_value(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url, clock=Moving(), ttl=None)
    load, _ = counted(colour, cache)
    colour.run(load, 1)
    proxy.fault(replies=Faults(garble=flipped))
    for _ in range(10):
        assert colour.run(load, 1) == {"n": 1}
        assert colour.call(cache, "get", "k:1") in (None, {"n": 1})
        colour.call(cache, "invalidate", "k:2")
    proxy.heal()
    assert colour.run(load, 1) == {"n": 1}


def any_byte_changed(seed: int) -> Callable[[bytes], bytes]:
    draw = random.Random(seed)

    def garble(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[draw.randrange(len(changed))] = draw.randrange(256)
        return bytes(changed)

    return garble


@pytest.mark.parametrize("seed", range(2))
def test_random_garbage_on_the_wire_never_gives_a_wrong_value(
    colour: Colour, redis_server: Server, proxy: Proxy, seed: int
) -> None:
    cache = colour.cache(
        proxy.url, clock=Moving(), ttl=None, socket_timeout=0.02, socket_connect_timeout=0.02
    )
    load, _ = counted(colour, cache, tags=["t"])
    garbled = Faults(garble=any_byte_changed(seed))
    for n in range(60):
        proxy.fault(replies=garbled if n % 3 else Faults())
        assert colour.run(load, n % 5) == {"n": n % 5}
    proxy.heal()


def test_the_reply_of_another_command_is_a_miss(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url, ttl=None)
    load, _ = counted(colour, cache)
    colour.run(load, 1)
    colour.run(load, 2)
    one, two = redis_server.cli("GET", "k:1"), redis_server.cli("GET", "k:2")
    assert len(one) == len(two)
    seen = Seen(cache)
    proxy.fault(replies=Faults(garble=lambda data: data.replace(two, one)))
    assert colour.run(load, 2) == {"n": 2}
    assert colour.call(cache, "get", "k:2", "none") in ("none", {"n": 2})
    assert seen.of(Unusable)
    proxy.heal()
    assert colour.run(load, 2) == {"n": 2}
    assert seen.count(BackendDown) == 0


PLANTED: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "text": lambda _: b"written by somebody else",
    "json": lambda _: b'{"n": 2}',
    "a pickle": lambda _: b"\x80\x04cos\nsystem\n(S'touch /tmp/dualcache-was-here'\ntR.",
    "the first half": lambda blob: blob[: len(blob) // 2],
    "the header alone": lambda blob: blob[:32],
    "one byte less": lambda blob: blob[:-1],
    "one byte more": lambda blob: blob + b"\0",
    "another magic": lambda blob: bytes([blob[0] ^ 1]) + blob[1:],
    "a future format": lambda blob: blob[:1] + bytes([blob[1] ^ 0x80]) + blob[2:],
    "an unknown codec": lambda blob: blob[:2] + b"\xfe" + blob[3:],
    "unknown flags": lambda blob: blob[:3] + b"\xff" + blob[4:],
    "zeros": lambda blob: bytes(len(blob)),
    "a megabyte": lambda blob: blob * (1_000_000 // len(blob)),
}


@pytest.mark.parametrize("what", PLANTED)
def test_whatever_lies_under_our_key_is_a_miss_and_is_overwritten(
    colour: Colour, redis_server: Server, what: str
) -> None:
    cache = colour.cache(redis_server.url)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    redis_server.cli("SET", "k:1", PLANTED[what](redis_server.cli("GET", "k:1")))
    seen = Seen(cache)
    assert colour.call(cache, "get", "k:1", "none") == "none"
    assert colour.run(load, 1) == {"n": 1}
    assert loads == [1, 1]
    assert colour.run(load, 1) == {"n": 1}
    assert loads == [1, 1]
    assert seen.of(Unusable)
    assert seen.count(BackendDown) == 0


def test_every_flipped_bit_of_a_stored_value_is_a_miss(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url, ttl=None)
    colour.call(cache, "set", "k", {"n": 1}, tags=["t"])
    blob = redis_server.cli("GET", "k")
    for bit in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        redis_server.cli("SET", "k", bytes(changed))
        assert colour.call(cache, "get", "k", "none") == "none", bit
    redis_server.cli("SET", "k", blob)
    assert colour.call(cache, "get", "k") == {"n": 1}


def test_the_value_of_another_key_is_a_miss(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    redis_server.cli("RENAME", "k:1", "k:2")
    assert colour.run(load, 2) == {"n": 2}
    assert colour.run(load, 2) == {"n": 2}
    assert loads == [1, 2]


@pytest.mark.parametrize(
    "command", [("RPUSH", "k:1", "x"), ("HSET", "k:1", "a", "b"), ("SADD", "k:1", "x")]
)
def test_a_key_of_another_type_is_a_miss_and_is_overwritten(
    colour: Colour, any_server: Server, command: tuple[str, ...]
) -> None:
    cache = colour.cache(any_server.url)
    load, loads = counted(colour, cache)
    any_server.cli(*command)
    assert colour.call(cache, "get", "k:1", "none") == "none"
    assert colour.call(cache, "peek", "k:1") is None
    for _ in range(3):
        assert colour.run(load, 1) == {"n": 1}
    assert loads == [1]
    any_server.cli("DEL", "k:1")
    any_server.cli(*command)
    assert colour.call(cache, "set", "k:1", {"n": 3}) is True
    assert colour.run(load, 1) == {"n": 3}


def test_a_tag_of_another_type_is_a_miss(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url)
    load, loads = counted(colour, cache, tags=["t"])
    redis_server.cli("RPUSH", "~t:t", "x")
    for _ in range(3):
        assert colour.run(load, 1) == {"n": 1}
    colour.call(cache, "invalidate", tags=["t"])
    count = len(loads)
    for _ in range(3):
        colour.run(load, 1)
    assert len(loads) == count + 1


def test_foreign_deletes_evictions_and_flushes_cost_only_misses(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)
    load, loads = counted(colour, cache, tags=["t"])
    for command in (("DEL", "k:1"), ("DEL", "~t:t"), ("FLUSHALL",), ("PEXPIRE", "k:1", "-1")):
        colour.run(load, 1)
        count = len(loads)
        redis_server.cli(*command)
        for _ in range(2):
            assert colour.run(load, 1) == {"n": 1}
        assert len(loads) == count + 1


# What is sent


def sent(server: Server, call: Callable[[], Any]) -> list[str]:
    """Return the commands that a call sends, each by its name."""
    with server.client().monitor() as monitor:
        call()
        server.cli("ECHO", "end of what was sent")
        names: list[str] = []
        while True:
            shown: Any = monitor.next_command()
            command: str = shown["command"]
            if "end of what was sent" in command:
                return names
            if not command.startswith(("CLIENT", "HELLO")):
                names.append(command.split(maxsplit=1)[0])


def test_a_hit_is_one_get(colour: Colour, any_server: Server) -> None:
    cache = colour.cache(any_server.url)
    load, _ = counted(colour, cache)
    colour.run(load, 1)
    assert sent(any_server, lambda: colour.run(load, 1)) == ["GET"]


def test_a_hit_with_tags_is_one_command(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url)
    load, _ = counted(colour, cache, tags=["t", "u"])
    colour.run(load, 1)
    assert sent(redis_server, lambda: colour.run(load, 1)) == ["MGET"]


def test_a_likely_miss_is_a_lease_and_a_commit(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url)
    load, _ = counted(colour, cache)
    for n in range(30):  # from here on misses are what this function is known for
        colour.run(load, n)
    names = sent(redis_server, lambda: colour.run(load, 100))
    assert names[:3] == ["SET", "GET", "PTTL"]  # a marker without an end is waited for by nobody
    assert names[3:4] == ["EVALSHA"]
    assert set(names[4:]) <= {"GETRANGE", "SET", "PEXPIRE", "lua"}


def test_a_miss_is_two_trips(colour: Colour, redis_server: Server, proxy: Proxy) -> None:
    cache = colour.cache(proxy.url)
    load, _ = counted(colour, cache)
    for n in range(30):
        colour.run(load, n)
    pieces: list[bytes] = []

    def noted(data: bytes) -> bytes:
        pieces.append(data)
        return data

    proxy.fault(requests=Faults(garble=noted))
    colour.run(load, 100)
    assert len(pieces) == 2
    pieces.clear()
    colour.run(load, 100)
    assert len(pieces) == 1
    pieces.clear()
    colour.call(cache, "get_many", [f"k:{n}" for n in range(20)])
    assert len(pieces) == 1
    pieces.clear()
    colour.call(cache, "invalidate", "k:1", "k:2", tags=["t"])
    assert len(pieces) == 1


@pytest.mark.of_asyncio
def test_hits_at_once_in_one_task_turn_go_out_in_one_write(
    tasks: Any, redis_server: Server, proxy: Proxy
) -> None:
    cache = tasks.cache(proxy.url)
    load, _ = counted(tasks, cache)
    for n in range(20):
        tasks.run(load, n)
    pieces: list[bytes] = []

    def noted(data: bytes) -> bytes:
        pieces.append(data)
        return data

    proxy.fault(requests=Faults(garble=noted))
    seen = Seen(cache)
    # Nothing was asked for before: the first call cannot know of the others of its turn.
    tasks.gather(*[lambda n=n: load(n) for n in range(20)])
    assert 1 <= len(pieces) <= 2
    pieces.clear()
    tasks.gather(*[lambda n=n: load(n) for n in range(20)])
    assert seen.count(Hit) == 40
    assert len(pieces) == 1
    pieces.clear()
    for _ in range(2):
        tasks.run(load, 1)
    assert len(pieces) == 2
    assert proxy.accepted == 1


@pytest.mark.parametrize("keys", [["a"], ["a", "b", "c"]], ids=len)
def test_leases_whose_reply_was_lost_are_taken_over_by_their_own_sender(
    colour: Colour, proxy: Proxy, keys: list[str]
) -> None:
    cache = colour.cache(proxy.url)
    seen, asked = Seen(cache), []

    def body(names: list[str]) -> dict[str, int]:
        asked.append(names)
        return dict.fromkeys(names, 1)

    loader = colour.function(body)
    assert colour.call(cache, "set", "connects", 1) is True
    proxy.links[-1].fault(replies=Faults(cut_after=0))
    for _ in range(2):
        found = colour.call(cache, "get_or_load_many", keys, loader)
        assert found == dict.fromkeys(keys, 1)
    assert asked == [keys]
    assert [event.outcome for event in seen.of(Loaded)] == ["stored"] * len(keys)
    assert seen.count(WaitExpired) == 0
