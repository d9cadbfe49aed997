"""One right less: each row of the table of rights is taken away from a real server's user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualcache import BackendDown, RightMissing, ScansRefused, StoresStopped
from dualcache.backends.redis.wire.rights import RIGHTS, Feature, Loss, Right, rules_for
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually, is_open, kept_key, tiered
from tests.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server


BY_SCRIPTS = {Feature.CACHE, Feature.PATTERNS, Feature.SCRIPTS}
BY_WATCH = {Feature.CACHE, Feature.PATTERNS, Feature.TRANSACTIONS}
TRANSPORTS = {
    "tracking": Feature.TRACKING,
    "broadcast": Feature.BROADCAST,
    "pubsub": Feature.PUBSUB,
}
CALLS = 5
FEW = 20
"""Refusals that are no sign of something that is sent again and again."""
ALONE = {"+set", "+scan"}
"""Rights whose want leaves the cache up."""


def user(server: Server, features: Iterable[Feature], *, without: str = "") -> str:
    """Make a user with the least rights for some features, or with one less; return the URL."""
    left_out = without.replace("<namespace>", "shop")
    rules = [rule for rule in rules_for(features, "shop:").split() if rule != left_out]
    server.cli("ACL", "SETUSER", "app", "reset", "on", ">pw", *rules)
    server.cli("ACL", "LOG", "RESET")
    return f"redis://app:pw@{HOST}:{server.port}"


def denials(server: Server) -> int:
    """Return how many commands the server has refused for want of a right."""
    found = 0
    for entry in server.cli("ACL", "LOG"):
        pairs = (
            entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True))
        )
        found += int(pairs[b"count"])
    return found


def use_all(colour: Colour, cache: Cache, moment: list[float]) -> list[int]:
    """Load, hit, refresh, write and invalidate in each way; return the values of the function."""
    hour = cache(key="hour:{n}", tags=["t"], ttl=1, stale_while_revalidate="1h")(
        colour.function(lambda n: n)
    )
    body = colour.function(lambda n: n)
    load = cache(key="k:{n}", tags=["t"], ttl="30d", stale_if_error="1d")(body)
    forever = cache(key="ever:{n}", tags=["t"], ttl=None)(colour.function(lambda n: f"{n}" * 9000))
    found = []
    for _ in range(CALLS):
        colour.run(hour, 1)
        moment[0] += 1.5  # it is stale, and short of the pauses after an outage
        found += [colour.run(load, 1), colour.run(load, 2)]
        colour.run(forever, 1)
        colour.run(load.refresh, 1)
        colour.run(forever.refresh, 1)
    colour.call(cache, "set", "x", 1, tags=["t"])
    for _ in range(CALLS):
        colour.call(cache, "incr", "n")
        colour.call(cache, "invalidate", "x", tags=["t"])
        colour.call(cache, "invalidate", patterns=["k:*"])
        found += [colour.run(load, 1), colour.run(load, 2)]
    load.cache_clear()
    colour.call(cache, "ping")
    return found


def lines_about(caplog: pytest.LogCaptureFixture, right: str) -> list[str]:
    return [record.levelname for record in caplog.records if right in record.getMessage()]


def of_features(*features: Feature) -> list[Right]:
    return [right for right in RIGHTS if set(right.features) & set(features)]


@pytest.mark.parametrize("features", [BY_SCRIPTS, BY_WATCH], ids=["scripts", "watch"])
def test_the_least_rights_are_enough(
    colour: Colour,
    any_own_server: Server,
    features: set[Feature],
) -> None:
    moment = [1_000.0]
    url = user(any_own_server, features)
    cache = colour.cache(url, namespace="shop", socket_timeout=5, clock=lambda: moment[0])
    seen = Seen(cache)
    assert use_all(colour, cache, moment) == [1, 2] * 2 * CALLS
    assert seen.count(BackendDown) == seen.count(StoresStopped) == seen.count(ScansRefused) == 0
    missing = {event.right for event in seen.of(RightMissing)}
    assert missing <= ({"+evalsha", "+eval"} if features is BY_WATCH else set())
    assert cache.stats().pending == 0


@pytest.mark.parametrize("right", of_features(*BY_SCRIPTS), ids=lambda right: right.rule)
def test_a_missing_right_is_told_once_and_functions_go_on(
    colour: Colour, any_own_server: Server, caplog: pytest.LogCaptureFixture, right: Right
) -> None:
    caplog.set_level("INFO", "dualcache")
    url = user(any_own_server, BY_SCRIPTS, without=right.rule)
    moment = [1_000.0]
    cache = colour.cache(url, namespace="shop", socket_timeout=5, clock=lambda: moment[0])
    seen = Seen(cache)
    assert use_all(colour, cache, moment) == [1, 2] * 2 * CALLS
    told = lines_about(caplog, right.rule)
    if right.loss is Loss.REPLACED:
        assert told.count("INFO") == 1
        assert told.count("ERROR") == seen.count(StoresStopped) <= 1
    else:
        assert told == ["ERROR"]
    if right.loss is not Loss.PARTIAL:
        assert denials(any_own_server) < FEW
    if right.rule != "+del":
        assert seen.count(BackendDown) == (right.loss is Loss.TOLD) - (right.rule in ALONE)


@pytest.mark.parametrize("right", of_features(Feature.DATABASE), ids=lambda right: right.rule)
def test_another_database_needs_a_right_that_is_named(
    colour: Colour, any_own_server: Server, right: Right
) -> None:
    url = user(any_own_server, {*BY_SCRIPTS, Feature.DATABASE})
    assert colour.call(colour.cache(f"{url}/1"), "ping")
    url = user(any_own_server, BY_SCRIPTS)
    cache = colour.cache(f"{url}/1", namespace="shop", clock=lambda: 1.0)
    seen = Seen(cache)
    for _ in range(CALLS):
        assert colour.call(cache, "get_or_load", "k", lambda: 1) == 1
    (down,) = seen.of(BackendDown)
    assert down.is_configuration
    assert right.rule in down.cause


@pytest.mark.parametrize(
    ("transport", "right"),
    [
        pytest.param(transport, right, id=f"{transport} {right.rule}")
        for transport, feature in TRANSPORTS.items()
        for right in of_features(feature)
        if right.rule not in {"+multi", "+exec"}
    ],
)
def test_a_right_that_only_the_front_tier_needs_is_named_where_it_is_missing(
    colour: Colour,
    any_own_server: Server,
    caplog: pytest.LogCaptureFixture,
    transport: str,
    right: Right,
) -> None:
    caplog.set_level("INFO", "dualcache")
    features = {*BY_SCRIPTS, TRANSPORTS[transport]}
    if transport == "pubsub":
        features.add(Feature.PUBLISH)
    url = user(any_own_server, features, without=right.rule)
    cache = tiered(
        colour, url, namespace="shop", socket_timeout=5, publish=transport == "pubsub" or None
    )
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    assert [colour.run(load, 1) for _ in range(CALLS)] == [1] * CALLS
    eventually(lambda: is_open(cache), "an open tier")
    front = cache.stats().front
    assert front is not None
    assert f"grant {right.rule}" in front.reason
    # The tier has its reason before it logs it.
    eventually(lambda: bool(lines_about(caplog, f"grant {right.rule}")), "a line on the right")
    assert lines_about(caplog, f"grant {right.rule}")[:1] == ["WARNING"]
    assert [colour.run(load, 1) for _ in range(CALLS)] == [1] * CALLS


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_least_rights_for_each_transport_are_enough(
    colour: Colour, any_own_server: Server, transport: str
) -> None:
    url = user(any_own_server, {*BY_SCRIPTS, TRANSPORTS[transport]})
    cache = tiered(colour, url, transport, namespace="shop", socket_timeout=5)
    colour.call(cache, "set", "k", "old")
    assert kept_key(colour, cache, "k") == "old"
    colour.call(cache, "invalidate", "k")
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None
    front = cache.stats().front
    assert front is not None
    assert front.transport == transport
    assert "grant" not in front.reason
