"""Services and proxies that lack commands: each has a way of working, found by trying."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from dualcache import BackendDown, BackendUnavailable, BackendUp, ScansRefused, StoresStopped
from dualcache.engine.closing import SEARCHES_TO_BE_SURE
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import Clock
from tests.front.tiers import kept_key, tiered
from tests.proxy import Faults, Proxy, hanging_up_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

LACKING = {
    "CLIENT": ["CLIENT"],
    "CONFIG": ["CONFIG"],
    "scripts": ["EVAL", "EVALSHA", "SCRIPT"],
    "SCRIPT": ["SCRIPT"],
    "transactions": ["MULTI", "EXEC", "WATCH", "UNWATCH", "DISCARD"],
    "RESP3": ["HELLO"],
    "Pub/Sub": ["PUBLISH", "SUBSCRIBE"],
    "UNLINK and GETRANGE": ["UNLINK", "GETRANGE"],
    "PING": ["PING"],
    "ROLE and INFO": ["ROLE", "INFO"],
    "what twemproxy does not know": [
        *("HELLO", "CLIENT", "SCRIPT", "MULTI", "EXEC", "WATCH", "UNWATCH", "PUBLISH", "SUBSCRIBE"),
        *("INFO", "ROLE", "CONFIG", "SELECT"),
    ],
    "SCAN": ["SCAN"],
    "everything but reads": ["EVAL", "EVALSHA", "SCRIPT", "MULTI", "EXEC", "WATCH", "UNWATCH"],
}
"""What a service does not have, by what that is called."""
HOW = ["unknown", "unsupported", "hangs up"]
"""How it says so: as Redis does, as a proxy of its own words, or by closing the connection."""


@pytest.fixture(params=HOW)
def how(request: pytest.FixtureRequest) -> str:
    made: str = request.param
    return made


@pytest.fixture
def service(redis_server: Server, how: str, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """A service that lacks the commands of the parameter."""
    commands = LACKING[request.param]
    with Proxy(redis_server.port) as proxy:
        if how == "hangs up":
            proxy.fault(requests=hanging_up_at(*commands))
        else:
            words = re.compile(rb"(\*\d+\r\n\$\d+\r\n)(%b)\r\n" % "|".join(commands).encode())
            replies = Faults()
            if how == "unsupported":
                replies = Faults(garble=in_words)
            proxy.fault(
                requests=Faults(garble=lambda data: words.sub(nonsense, data)), replies=replies
            )
        yield proxy


def nonsense(found: re.Match[bytes]) -> bytes:
    return found[1] + b"X" * len(found[2]) + b"\r\n"


def in_words(data: bytes) -> bytes:
    return re.sub(rb"-ERR unknown command[^\r]*", b"-ERR unsupported command", data)


@pytest.mark.parametrize("service", [*LACKING][:-2], indirect=True)
def test_functions_are_cached_and_invalidated_whatever_a_service_lacks(
    colour: Colour, service: Proxy
) -> None:
    cache = colour.cache(service.url, namespace="shop", socket_timeout=5)
    seen = Seen(cache)
    loads: list[int] = []

    def body(n: int) -> str:
        loads.append(n)
        return str(n) * 5000

    load = cache(key="k:{n}", tags=["t", "k:{n}"])(colour.function(body))
    for _ in range(3):
        assert [colour.run(load, n)[0] for n in (1, 2)] == ["1", "2"]
    assert loads == [1, 2]
    colour.run(load.refresh, 1)
    assert colour.call(cache, "invalidate", tags=["k:1"]).pending == 0
    colour.run(load, 1)
    colour.run(load, 2)
    assert loads == [1, 2, 1, 1]
    assert colour.call(cache, "invalidate", patterns=["k:*"]).pending == 0
    colour.run(load, 1)
    colour.run(load, 2)
    assert loads == [1, 2, 1, 1, 1, 2]
    assert colour.call(cache, "clear").pending == 0
    colour.run(load, 1)
    assert loads == [1, 2, 1, 1, 1, 2, 1]
    assert seen.count(BackendDown) == 0
    assert cache.stats().pending == 0


@pytest.mark.parametrize("service", ["scripts", "what twemproxy does not know"], indirect=True)
def test_a_command_at_which_the_connection_is_closed_is_not_sent_again_and_again(
    colour: Colour, service: Proxy
) -> None:
    cache = colour.cache(service.url, namespace="shop", socket_timeout=5)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    for n in range(10):
        colour.run(load, n)
    connections = service.accepted
    for n in range(100):
        colour.run(load, n)
        colour.run(load.refresh, n)
    assert service.accepted == connections


@pytest.mark.parametrize("service", ["everything but reads"], indirect=True)
def test_where_nothing_can_be_stored_functions_run_and_that_is_told_once(
    colour: Colour, service: Proxy, redis_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    told = 0 if compares_in_set(redis_server) else 1
    cache = colour.cache(service.url, namespace="shop", socket_timeout=5)
    seen = Seen(cache)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    for _ in range(5):
        assert colour.run(load, 1) == 1
    assert seen.count(StoresStopped) == told
    assert seen.count(BackendDown) == 0
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == told


def compares_in_set(server: Server) -> bool:
    """Whether a value is stored by `SET … IFEQ`, which no proxy looks into."""
    try:
        server.cli("SET", "probe", "1", "IFEQ", "0")
    except ResponseError:
        return False
    return True


@pytest.mark.parametrize("service", ["SCAN"], indirect=True)
def test_without_scan_patterns_are_told_to_be_undelivered_and_the_rest_goes_on(
    colour: Colour, service: Proxy, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    options: dict[str, Any] = {"namespace": "shop", "socket_timeout": 5, "clock": clock}
    cache = colour.cache(service.url, **options)
    strict = colour.cache(service.url, strict=True, **options)
    seen = Seen(cache)
    load = cache(key="k:{n}", tags=["t"])(colour.function(lambda n: n))
    colour.run(load, 1)
    for _ in range(SEARCHES_TO_BE_SURE):
        assert colour.call(cache, "invalidate", patterns=["k:*"]).pending == 1
        clock.advance(10)
    assert seen.count(ScansRefused) == 1
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "lacks SCAN" in line
    assert colour.call(cache, "invalidate", tags=["t"]).pending == 0
    colour.run(load, 1)
    # A search that is cut is an outage until that is no chance any more.
    assert seen.count(BackendDown) == (SEARCHES_TO_BE_SURE - 1 if how == "hangs up" else 0)
    codes = []
    for _ in range(SEARCHES_TO_BE_SURE):
        with pytest.raises(BackendUnavailable) as caught:
            colour.call(strict, "clear")
        codes.append(caught.value.code)
        clock.advance(10)
    assert codes[-1] == "DC183"


@pytest.mark.parametrize(
    ("service", "transport"),
    [
        ("CLIENT", "ttl"),
        ("RESP3", "ttl"),
        ("ROLE and INFO", "tracking"),
        ("PING", "ttl"),
        ("what twemproxy does not know", "ttl"),
    ],
    indirect=["service"],
)
def test_a_front_tier_works_by_what_a_service_has(
    colour: Colour, service: Proxy, redis_server: Server, transport: str, how: str
) -> None:
    if (transport, how) == ("tracking", "hangs up"):
        transport = "ttl"  # the listener's connection ends with the question for the role
    cache = tiered(colour, service.url, namespace="shop", socket_timeout=5, max_staleness=30)
    colour.call(cache, "set", "k", "old", tags=["t"])
    assert kept_key(colour, cache, "k") == "old"
    assert transport_of(cache) == transport
    assert colour.call(cache, "invalidate", tags=["t"]).pending == 0
    assert colour.call(cache, "get", "k") is None
    colour.call(cache, "set", "k", "new")
    assert kept_key(colour, cache, "k") == "new"
    redis_server.cli("DEL", "shop:k")
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None


@pytest.mark.parametrize("service", ["CLIENT"], indirect=True)
def test_processes_tell_each_other_through_a_service_without_tracking(
    colour: Colour, service: Proxy
) -> None:
    hearing, telling = (
        tiered(colour, service.url, "pubsub", namespace="shop", socket_timeout=5) for _ in range(2)
    )
    colour.call(hearing, "set", "k", "old", tags=["t"])
    for doomed in ({"tags": ["t"]}, {"patterns": ["k*"]}):
        assert kept_key(colour, hearing, "k") == "old"
        assert transport_of(hearing) == "pubsub"
        assert colour.call(telling, "invalidate", **doomed).pending == 0
        colour.call(hearing, "fence")
        assert colour.call(hearing, "get", "k") is None
        colour.call(hearing, "set", "k", "old", tags=["t"])


@pytest.mark.parametrize("service", ["what twemproxy does not know"], indirect=True)
def test_a_server_that_goes_away_is_an_outage_also_behind_such_a_proxy(
    colour: Colour, service: Proxy
) -> None:
    moment = [1_000.0]
    url = service.url
    cache = colour.cache(url, namespace="shop", socket_timeout=5, clock=lambda: moment[0])
    seen = Seen(cache)
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    colour.run(load, 1)
    service.refuse()
    service.reset()
    assert colour.run(load, 1) == 1
    assert colour.run(load, 1) == 1
    assert seen.count(BackendDown) == 1
    service.accept()
    moment[0] += 11
    assert colour.run(load, 2) == 2
    assert colour.call(cache, "get", "k:2") == 2
    assert seen.count(BackendUp) == 1


def transport_of(cache: Cache) -> str:
    front = cache.stats().front
    assert front is not None
    return front.transport
