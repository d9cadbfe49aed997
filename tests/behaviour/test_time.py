"""One rule for time: how long a call waits for a server, a resolver or a link that is slow."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown
from tests.behaviour.seen import Seen
from tests.patience import hasty
from tests.ports import HOST
from tests.proxy import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache import Cache
    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server

PATIENCE = 0.2
"""The `socket_timeout` of these tests; four times that is the most that a call takes."""
BUDGET = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
SLACK = 3
"""What a busy machine may add; each mistake looked for here would cost more."""
MEGABYTE = 1_000_000


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    result = call()
    return result, time.monotonic() - began


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The resolver's answers by name: addresses, or an event that it waits for."""
    answers: dict[str, Any] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        flags = rest[3] if len(rest) > 3 else more.get("flags", 0)
        if host not in answers or flags & socket.AI_NUMERICHOST:
            return real(host, port, *rest, **more)
        answer = answers[host]
        if isinstance(answer, threading.Event):
            answer.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in answer]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield answers
    for answer in answers.values():
        if isinstance(answer, threading.Event):
            answer.set()


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that takes no connection and refuses none: its queue is full."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        place = full.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(place)
        yield place[1]


def test_a_resolver_that_hangs_costs_one_budget(colour: Colour, resolver: dict[str, Any]) -> None:
    resolver["hangs.test"] = threading.Event()
    cache = colour.cache("redis://hangs.test", **BUDGET)
    result, seconds = timed(lambda: colour.call(cache, "get", "k", "default"))
    assert result == "default"
    assert PATIENCE * 0.9 < seconds < PATIENCE + SLACK


def test_a_name_with_dead_addresses_and_a_good_one_works(
    colour: Colour, redis_server: Server, resolver: dict[str, Any], dead_port: int
) -> None:
    good = (HOST, redis_server.port)
    resolver["many.test"] = [*[(HOST, dead_port)] * 2, (HOST, 1), good]
    # Its turn comes after two fifths of the time: one after the other, the dead would use up all.
    cache = colour.cache("redis://many.test", socket_timeout=3)
    assert colour.call(cache, "set", "k", 1) is True
    assert colour.call(cache, "get", "k") == 1


def test_a_name_with_dead_addresses_alone_costs_one_budget(
    colour: Colour, resolver: dict[str, Any], dead_port: int
) -> None:
    resolver["dead.test"] = [(HOST, dead_port)] * 30
    cache = colour.cache("redis://dead.test", **BUDGET)
    _, seconds = timed(lambda: colour.call(cache, "get", "k"))
    assert PATIENCE * 0.9 < seconds < PATIENCE + SLACK


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_handshake_that_hangs_or_drips_costs_one_budget(
    colour: Colour, proxy: Proxy, scheme: str
) -> None:
    slow = [Faults(holds=True), Faults(chunk_bytes=1, interval=PATIENCE / 4)]
    for faults in slow:
        proxy.fault(replies=faults)
        cache = colour.cache(f"{scheme}://{HOST}:{proxy.port}", **BUDGET)
        _, seconds = timed(lambda cache=cache: colour.call(cache, "get", "k"))  # type: ignore[misc]
        assert seconds < PATIENCE + SLACK


def test_a_reply_that_drips_ends_with_the_longest_call(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    limits = {"socket_timeout": 3, "socket_connect_timeout": 1}
    cache = colour.cache(proxy.url, call_timeout=1, **limits)
    seen = Seen(cache)
    colour.call(cache, "set", "k", "x" * 1000)
    proxy.fault(replies=Faults(chunk_bytes=1, interval=0.05))  # fifty seconds for all
    result, seconds = timed(lambda: colour.call(cache, "get", "k", "default"))
    assert result == "default"
    assert 0.9 < seconds < 1 + SLACK
    colour.call(cache, "get", "k")
    assert seen.count(BackendDown) == 1


def test_half_a_reply_and_then_silence_costs_a_budget_since_the_last_byte(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url, socket_timeout=0.5, call_timeout=30)
    colour.call(cache, "set", "k", "x" * 1000)
    proxy.fault(replies=Faults(chunk_bytes=100, interval=30))
    _, seconds = timed(lambda: colour.call(cache, "get", "k"))
    assert seconds < 2 * 0.5 + SLACK


def test_a_large_value_is_read_through_a_narrow_link_beside_small_ones(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url, socket_timeout=1, call_timeout=60)
    seen = Seen(cache)
    colour.call(cache, "set", "large", b"x" * 12 * MEGABYTE)
    colour.call(cache, "set", "small", 1)
    proxy.fault(replies=Faults(interval=0.0075))  # some 8 MB/s on each connection
    for _ in range(2):
        large = colour.start(lambda: colour.face(cache).get("large"))
        while not large.done:
            smalls = [lambda: colour.face(cache).get("small")] * 5
            assert colour.gather(*smalls) == [1] * 5
        assert large.result() == b"x" * 12 * MEGABYTE
    assert seen.count(BackendDown) == 0


def test_a_small_read_does_not_wait_twice_behind_a_large_one(tasks: Any, proxy: Proxy) -> None:
    cache = tasks.cache(proxy.url, socket_timeout=1, call_timeout=60)
    tasks.call(cache, "set", "large", b"x" * 12 * MEGABYTE)
    tasks.call(cache, "set", "small", 1)
    proxy.fault(replies=Faults(interval=0.015))  # three seconds for all of it: it is late
    tasks.call(cache, "get", "large")  # from now on it is known as slow
    large = tasks.start(lambda: cache.aio.get("large"))
    assert tasks.call(cache, "get", "small") == 1
    assert not large.done
    assert large.result() == b"x" * 12 * MEGABYTE


def test_many_values_of_some_size_are_read_in_one_call(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)
    values = {f"k{n}": b"x" * 20_000 for n in range(1000)}
    for start in range(0, 1000, 50):
        names = list(values)[start : start + 50]
        colour.call(cache, "set_many", {name: values[name] for name in names})
    assert colour.call(cache, "get_many", list(values)) == values


def larger(colour: Colour, cache: Cache, size: int, *, time_out: float | None = None) -> float:
    """Set a value of this size and return how long that took; the cache goes on in any case."""
    seen = Seen(cache)
    with hasty(colour, cache, time_out) if time_out else contextlib.nullcontext():
        _, seconds = timed(lambda: colour.call(cache, "set", "large", b"x" * size))
    assert colour.call(cache, "set", "small", 1) is True
    assert colour.call(cache, "get", "small") == 1
    assert seen.count(BackendDown) == 0
    return seconds


def test_a_very_large_value_is_stored_where_the_link_is_fast(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url, socket_timeout=2, call_timeout=60)
    larger(colour, cache, 40 * MEGABYTE)
    assert len(colour.call(cache, "get", "large")) == 40 * MEGABYTE


def test_a_value_too_large_for_the_link_is_no_failure_of_the_server(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url)
    colour.call(cache, "ping")
    proxy.fault(requests=Faults(interval=0.1))  # a minute for all of it
    assert larger(colour, cache, 40 * MEGABYTE, time_out=0.4) < 20


def test_a_value_that_a_narrow_link_takes_long_for_is_stored(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    cache = colour.cache(proxy.url, call_timeout=60)
    colour.call(cache, "set", "small", 1)  # finds out how this server compares
    # More than half a second for all of it; a busy machine may be slower still, four are granted.
    proxy.fault(requests=Faults(interval=0.0025))
    larger(colour, cache, 16 * MEGABYTE, time_out=0.5)
    assert len(colour.call(cache, "get", "large")) == 16 * MEGABYTE


def test_a_server_that_hangs_costs_one_budget_however_large_the_value(
    colour: Colour, own_server: Server
) -> None:
    cache = colour.cache(own_server.url, **BUDGET)
    colour.call(cache, "ping")
    own_server.pause()
    seen = Seen(cache)
    _, seconds = timed(lambda: colour.call(cache, "set", "k", b"x" * MEGABYTE))
    own_server.resume()
    assert seconds < 8 * PATIENCE + SLACK
    assert seen.count(BackendDown) <= 1
