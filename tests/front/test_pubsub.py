"""Processes that tell each other what they revoke: the promises of the other transports, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import MISSING, BackendDown, BackendUp, FrontTier, UsageError
from dualcache.backends.redis.push.transports import PubSubTransport
from tests.front.every_server import own_server, redis_server
from tests.front.test_behaviour import (
    WITHOUT_CLIENT,
    invalidate,
    test_a_tag_that_only_the_entry_has_kills_the_copy_of_an_untagged_function,
    test_an_invalidation_by_this_process_is_seen_at_once,
    test_closed_and_used_again_the_tier_opens_again,
)
from tests.front.test_processes import (
    test_a_cache_that_nobody_holds_ends_its_listener,
    test_a_forked_child_begins_clean_and_leaves_its_parent_alone,
    test_an_interpreter_ends_at_once_and_says_nothing,
    test_loops_in_threads_share_the_tier,
    test_many_caches_on_one_server_hear_each_other,
    test_several_loops_one_after_another_share_the_tier,
)
from tests.front.test_waiters import test_a_push_between_the_read_and_its_reply_keeps_nothing
from tests.front.tiers import (
    front_hits,
    is_open,
    kept,
    kept_key,
    losses,
    opened,
    tier_of,
    tiered,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualcache import Cache
    from dualcache.options.front_tier import Transport
    from tests.colours import Colour
    from tests.servers import Server

__all__ = [  # what holds for every transport
    "own_server",
    "redis_server",
    "test_a_cache_that_nobody_holds_ends_its_listener",
    "test_a_forked_child_begins_clean_and_leaves_its_parent_alone",
    "test_a_push_between_the_read_and_its_reply_keeps_nothing",
    "test_a_tag_that_only_the_entry_has_kills_the_copy_of_an_untagged_function",
    "test_an_interpreter_ends_at_once_and_says_nothing",
    "test_an_invalidation_by_this_process_is_seen_at_once",
    "test_closed_and_used_again_the_tier_opens_again",
    "test_loops_in_threads_share_the_tier",
    "test_many_caches_on_one_server_hear_each_other",
    "test_several_loops_one_after_another_share_the_tier",
]


WITHOUT_ID = "tracking: DC203, grant +client|id; broadcast: DC203, grant +client|id"


@pytest.fixture
def transport() -> Transport:
    return "pubsub"


def user(server: Server, *rights: str) -> str:
    """Make a user of a server; return the URL with his name."""
    server.cli("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", *rights)
    return server.url.replace("redis://", "redis://app:secret@")


def told(cache: Cache) -> tuple[str, str]:
    front = cache.stats().front
    assert front is not None
    return front.transport, front.reason


def used(server: Server, names: Iterable[str]) -> set[str]:
    """Return which of these commands the server has carried out."""
    stats = server.cli("INFO", "commandstats")
    return {name for name in names if f"cmdstat_{name}" in stats}


@pytest.mark.parametrize("teller", ["with a tier", "without"])
@pytest.mark.parametrize("way", ["key", "tag", "pattern", "clear", "handle"])
def test_an_invalidation_by_another_process_is_seen_after_a_fence(
    colour: Colour, any_server: Server, way: str, teller: str
) -> None:
    cache = tiered(colour, any_server.url, "pubsub", namespace="shop")
    if teller == "without":
        other = colour.cache(any_server.url, namespace="shop", publish=True)
    else:
        other = tiered(colour, any_server.url, "pubsub", namespace="shop")
    version = [0]

    def load(n: int) -> int:
        return version[0]

    body = colour.function(load)
    ours, theirs = (each(key="n:{n}", tags=["all", "n:{n}"])(body) for each in (cache, other))
    for _ in range(5):
        kept(colour, cache, ours, 1)
        version[0] += 1
        invalidate(colour, other, theirs, way)
        colour.call(cache, "fence")
        assert colour.run(ours, 1) == version[0]
    assert (told(cache)[0], losses(cache)) == ("pubsub", 0)


@pytest.mark.parametrize("way", ["set", "set_many", "store", "refresh"])
def test_a_value_that_another_process_puts_there_is_seen_after_a_fence(
    colour: Colour, any_server: Server, way: str
) -> None:
    cache = tiered(colour, any_server.url, "pubsub", namespace="shop")
    other = colour.cache(any_server.url, namespace="shop", publish=True)
    version = [0]

    def load(n: int) -> int:
        return version[0]

    body = colour.function(load)
    ours, theirs = (each(key="n:{n}")(body) for each in (cache, other))
    for _ in range(5):
        kept(colour, cache, ours, 1)
        version[0] += 1
        if way == "set":
            colour.call(other, "set", "n:1", version[0])
        elif way == "set_many":
            colour.call(other, "set_many", {"n:1": version[0], "n:2": 0})
        elif way == "store":
            colour.run(theirs.store, version[0], 1)
        else:
            colour.run(theirs.refresh, 1)
        colour.call(cache, "fence")
        assert colour.run(ours, 1) == version[0]
    assert losses(cache) == 0


def test_a_copy_of_what_has_been_evicted_dies_by_an_invalidation_all_the_same(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url, "pubsub")
    other = colour.cache(redis_server.url, publish=True)
    for doomed in ({"patterns": ["k*"]}, {"tags": ["t"]}, {}):
        colour.call(cache, "set", "k", "old", tags=["t"])
        kept_key(colour, cache, "k")
        redis_server.cli("DEL", "k", "~t:t")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") == "old"  # nobody tells of evictions
        colour.call(other, "invalidate", *([] if doomed else ["k"]), **doomed)
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None


@pytest.mark.parametrize("way", ["FLUSHALL", "FLUSHDB", "SWAPDB 0 1"])
def test_a_flush_is_found_by_a_fence_and_is_a_loss(
    colour: Colour, any_server: Server, way: str
) -> None:
    cache = tiered(colour, any_server.url, "pubsub", max_staleness=60)
    for name in "abcd":
        colour.call(cache, "set", name, "old")
        kept_key(colour, cache, name)
        before = losses(cache)
        any_server.cli(*way.split())
        colour.call(cache, "fence")
        assert colour.call(cache, "get", name) is None
        assert losses(cache) > before
        colour.call(cache, "fence")


def test_pages_that_are_read_before_they_are_deleted_are_told_too(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url, "pubsub")
    other = colour.cache(redis_server.url, publish=True)
    names = [f"n{number}" for number in range(1500)]
    colour.call(other, "set_many", dict.fromkeys(names, "old"))
    for name in names[::300]:
        kept_key(colour, cache, name)
    colour.call(other, "invalidate", patterns=["n*"])
    colour.call(cache, "fence")
    assert [colour.call(cache, "get", name) for name in names[::300]] == [None] * 5


def test_a_copy_is_not_kept_of_what_is_read_while_others_revoke_it(
    colour: Colour, redis_server: Server
) -> None:
    """A message between the ticket and the reply: the caller gets the old value, nobody else."""
    cache = tiered(colour, redis_server.url, "pubsub")
    other = colour.cache(redis_server.url, publish=True)
    opened(colour, cache)
    colour.call(other, "set", "k", "old")
    direct = cache._runtime.backend.front_for(cache._runtime.codecs.direct_codec_for(MISSING))
    assert direct is not None
    begun = direct.begin_read(("k",))
    colour.call(other, "invalidate", "k")
    colour.call(cache, "fence")
    assert not tier_of(cache).coherence.may_install(begun.ticket, None)


def test_who_waits_for_another_process_polls_since_fills_are_not_told(
    colour: Colour, redis_server: Server
) -> None:
    one, other = (tiered(colour, redis_server.url, "pubsub") for _ in range(2))
    opened(colour, one)
    opened(colour, other)
    gate = colour.gate()

    async def load(n: int) -> int:
        await gate.passed()
        return n

    leading, following = (cache(key="n:{n}")(colour.function(load)) for cache in (one, other))
    assert other._runtime.backend.env.front.mark("n:1") is None
    first = colour.start(lambda: leading(1))
    gate.wait_until_entered()
    second = colour.start(lambda: following(1))
    gate.open()
    assert (first.result(), second.result()) == (1, 1)


def test_a_server_that_refuses_client_is_heard_where_processes_are_said_to_tell(
    colour: Colour, any_own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    url = user(any_own_server, *WITHOUT_CLIENT, "&*")
    caplog.set_level("INFO", "dualcache")
    cache = tiered(colour, url, publish=True)
    other = colour.cache(url, publish=True)
    colour.call(other, "set", "k", "old")
    kept_key(colour, cache, "k")
    reason = f"{WITHOUT_ID}; {PubSubTransport.caveat}"
    assert told(cache) == ("pubsub", reason)
    colour.call(other, "invalidate", "k")
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None
    cache.close()  # the thread that writes the line has ended now
    lines = [line for line in caplog.messages if "front tier" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f"hears changes by pubsub ({reason})")


def test_where_nobody_said_that_processes_tell_it_is_not_relied_upon(
    colour: Colour, own_server: Server
) -> None:
    cache = tiered(colour, user(own_server, *WITHOUT_CLIENT, "&*"))
    opened(colour, cache)
    assert told(cache) == ("ttl", WITHOUT_ID)


def test_the_rights_that_the_page_lists_are_enough(colour: Colour, any_own_server: Server) -> None:
    rights = (
        "+get +mget +set +del +unlink +getrange +strlen +pttl +pexpire +persist +scan +ping +select"
        " +evalsha +script|load +watch +unwatch +multi +exec &shop:~c +publish +subscribe +role"
    )
    url = user(any_own_server, "resetchannels", "-@all", *rights.split())
    any_own_server.cli("ACL", "LOG", "RESET")
    cache = tiered(colour, url, "pubsub", namespace="shop")
    colour.call(cache, "set", "k", "old", tags=["t"])
    kept_key(colour, cache, "k")
    refresh = cache(key="n:{n}")(colour.function(lambda n: n)).refresh
    colour.run(refresh, 1)
    colour.run(refresh, 1)
    colour.call(cache, "invalidate", "k", tags=["t"], patterns=["k*"])
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None
    assert told(cache)[0] == "pubsub"
    refused = {bytes(entry[b"object"]) for entry in map(pairs, any_own_server.cli("ACL", "LOG"))}
    assert {each for each in refused if not each.startswith(b"client")} == set()


def pairs(entry: Any) -> dict[bytes, Any]:
    return entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True))


def test_who_may_not_publish_is_told_so_and_nothing_is_lost(
    colour: Colour, any_own_server: Server
) -> None:
    hearing = tiered(colour, any_own_server.url, "pubsub", max_staleness=60)
    colour.call(hearing, "set", "k", "old")
    kept_key(colour, hearing, "k")
    moment = [0.0]
    url = user(any_own_server, "+@all", "-publish", "&*")
    telling = colour.cache(url, publish=True, clock=lambda: moment[0])
    events: list[object] = []
    telling.on_event(events.append)
    assert colour.call(telling, "invalidate", "k").pending == 1
    down = [event for event in events if isinstance(event, BackendDown)]
    assert [(event.reason, event.is_configuration) for event in down] == [("NOPERM", True)]
    assert any_own_server.cli("EXISTS", "k") == 1  # both or neither
    any_own_server.cli("ACL", "SETUSER", "app", "+publish")
    moment[0] += 100
    colour.call(telling, "get", "k")
    assert telling.stats().pending == 0
    assert any(isinstance(event, BackendUp) for event in events)
    colour.call(hearing, "fence")
    assert colour.call(hearing, "get", "k") is None


def test_nothing_is_published_where_nobody_asked_for_it(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    del transport
    cache = tiered(colour, own_server.url, "broadcast")
    colour.call(cache, "set", "k", "old")
    kept_key(colour, cache, "k")
    colour.call(cache, "invalidate", "k", patterns=["k*"])
    assert used(own_server, ("publish", "subscribe", "multi")) == set()


def test_a_process_without_a_tier_tells_and_does_not_listen(
    colour: Colour, own_server: Server
) -> None:
    cache = colour.cache(own_server.url, publish=True)
    colour.call(cache, "set", "k", "old")
    colour.call(cache, "invalidate", "k")
    assert used(own_server, ("publish", "subscribe")) == {"publish"}
    assert own_server.cli("PUBSUB", "CHANNELS") == []


def test_a_hit_and_a_fill_tell_nothing(colour: Colour, own_server: Server) -> None:
    cache = tiered(colour, own_server.url, "pubsub")
    opened(colour, cache)
    own_server.cli("CONFIG", "RESETSTAT")
    load = cache(key="n:{n}")(colour.function(lambda n: n))
    kept(colour, cache, load, 1)
    hits = front_hits(cache)
    colour.run(load, 1)
    assert front_hits(cache) == hits + 1
    assert used(own_server, ("publish", "multi", "exec")) == set()


def test_in_memory_there_is_nobody_to_tell(colour: Colour) -> None:
    cache = tiered(colour, "memory://", "pubsub")
    colour.call(cache, "set", "k", 1)
    kept_key(colour, cache, "k")
    colour.call(cache, "invalidate", "k", patterns=["k*"])
    assert (told(cache)[0], is_open(cache)) == ("local", True)


@pytest.mark.parametrize("wrong", ["perhaps", 2])
def test_whether_to_publish_is_a_yes_or_a_no(colour: Colour, wrong: object) -> None:
    with pytest.raises(UsageError, match="publish"):
        colour.cache("memory://", publish=wrong)


def test_who_hears_by_pubsub_cannot_keep_silent_himself(colour: Colour) -> None:
    with pytest.raises(UsageError) as caught:
        colour.cache("memory://", front=FrontTier(transport="pubsub"), publish=False)
    assert caught.value.code == "DC166"
    colour.cache("memory://", front=FrontTier(transport="pubsub"), publish=True)


def test_data_connections_may_speak_the_older_protocol(colour: Colour, any_server: Server) -> None:
    cache = tiered(colour, f"{any_server.url}?protocol=2", "pubsub")
    other = colour.cache(f"{any_server.url}?protocol=2", publish=True)
    colour.call(cache, "set", "k", "old", tags=["t"])
    kept_key(colour, cache, "k")
    colour.call(other, "invalidate", tags=["t"])
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None
    assert losses(cache) == 0
