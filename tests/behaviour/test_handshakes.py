"""Handshakes that are refused: told once, or done without what is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown, BackendUp, Cache, Loaded, UsageError
from tests.behaviour.seen import Seen
from tests.ports import HOST
from tests.proxy import Faults, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour
    from tests.servers import Server

CALLS = 50


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def counted(colour: Colour, cache: Cache) -> tuple[Any, list[int]]:
    loads: list[int] = []

    def body(n: int) -> int:
        loads.append(n)
        return n

    return cache(key="k:{n}")(colour.function(body)), loads


def without(*commands: bytes) -> Callable[[bytes], bytes]:
    """Make commands ones that the server does not know; a `garble` of requests."""
    names = re.compile(b"|".join(commands), re.IGNORECASE)
    return lambda data: names.sub(lambda found: b"X" * len(found[0]), data)


def in_words(words: bytes) -> Callable[[bytes], bytes]:
    """Have a proxy say in its own words that it does not know a command."""
    return lambda data: re.sub(rb"-ERR unknown command[^\r]*", words, data)


def is_told_once(colour: Colour, cache: Cache, proxy: Proxy, clock: Clock) -> str:
    """Whether one line and one event tell of a refused handshake; return the reason."""
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    for n in range(CALLS):
        assert colour.run(load, n) == n
    assert loads == list(range(CALLS))
    (down,) = seen.of(BackendDown)
    assert down.is_configuration
    assert down.retry_ms >= 10_000
    assert proxy.accepted <= 4
    assert cache.stats().is_available is False
    clock.now += 5
    colour.run(load, 1)
    assert proxy.accepted <= 4
    return down.reason


def test_a_db_that_the_server_does_not_have_is_told_once(
    colour: Colour, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    cache = colour.cache(f"redis://{HOST}:{proxy.port}/99", clock=clock)
    assert is_told_once(colour, cache, proxy, clock) == "DC203"
    assert len([line for line in caplog.records if line.levelname == "ERROR"]) == 1


@pytest.mark.parametrize(
    "words",
    [
        b"-ERR unknown command `SELECT`",
        b"-ERR 'select' is not supported",
        b"-select is an unsupported command",
        b"-DENIED no",
    ],
)
def test_a_server_without_select_is_told_once(colour: Colour, proxy: Proxy, words: bytes) -> None:
    proxy.fault(requests=Faults(garble=without(b"SELECT")), replies=Faults(garble=in_words(words)))
    clock = Clock()
    cache = colour.cache(f"redis://{HOST}:{proxy.port}/2", clock=clock)
    is_told_once(colour, cache, proxy, clock)


def test_it_is_used_once_the_handshake_is_taken(colour: Colour, proxy: Proxy) -> None:
    proxy.fault(requests=Faults(garble=without(b"SELECT")))
    clock = Clock()
    cache = colour.cache(f"redis://{HOST}:{proxy.port}/2", clock=clock)
    seen = Seen(cache)
    load, _ = counted(colour, cache)
    colour.run(load, 1)
    proxy.heal()
    clock.now += 11
    colour.run(load, 1)
    assert colour.call(cache, "get", "k:1") == 1
    assert seen.count(BackendUp) == 1


@pytest.mark.parametrize(
    "words",
    [
        b"-ERR unknown command `HELLO`, with args",
        b"-NOPROTO unsupported protocol version",
        b"-ERR unsupported command 'hello'",
        b"-invalid request",
    ],
)
@pytest.mark.parametrize("password", ["", "pw"])
def test_without_hello_resp2_is_spoken(
    colour: Colour, own_server: Server, words: bytes, password: str
) -> None:
    if password:
        own_server.cli("CONFIG", "SET", "requirepass", password)
    with Proxy(own_server.port) as proxy:
        garble = in_words(words)
        proxy.fault(requests=Faults(garble=without(b"HELLO")), replies=Faults(garble=garble))
        auth = f":{password}@" if password else ""
        cache = colour.cache(f"redis://{auth}{HOST}:{proxy.port}/1?client_name=app")
        seen = Seen(cache)
        load, loads = counted(colour, cache)
        for _ in range(2):
            for n in range(3):
                assert colour.run(load, n) == n
        assert loads == [0, 1, 2]
        assert {event.outcome for event in seen.of(Loaded)} == {"stored"}
        assert seen.count(BackendDown) == 0
        assert colour.call(cache, "invalidate", "k:1").pending == 0
        before = proxy.accepted
        proxy.reset()
        colour.run(load, 2)
        assert proxy.accepted == before + 1  # HELLO is not tried again


def test_a_wrong_password_is_not_sent_twice_for_an_older_protocol(
    colour: Colour, own_server: Server
) -> None:
    own_server.cli("CONFIG", "SET", "requirepass", "right")
    with Proxy(own_server.port) as proxy:
        cache = colour.cache(f"redis://:wrong@{HOST}:{proxy.port}", clock=Clock())
        seen = Seen(cache)
        colour.call(cache, "get", "k")
        assert [down.reason for down in seen.of(BackendDown)] == ["WRONGPASS"]
        assert proxy.accepted == 1


@pytest.mark.parametrize("name", ["my app", "my\napp", "appl\u00e9"])
def test_a_client_name_that_no_server_takes_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        Cache("redis://cache", client_name=name)
    assert caught.value.code == "DC162"
    assert "client_name" in caught.value.what
