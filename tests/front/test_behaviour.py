"""Switching the front tier on changes speed, not results: probes of single promises."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import FrontTier, Hit
from tests.bodies import WAIT_SECONDS
from tests.front.tiers import (
    PAUSE,
    eventually,
    front_hits,
    is_open,
    kept,
    kept_key,
    losses,
    opened,
    tiered,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server


WITHOUT_CLIENT = ("+@all", "-client")


@dataclass
class Basket:
    items: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Address:
    street: str


VALUES: tuple[Any, ...] = (
    None, 0, "", [], {}, False, b"", 1.5, "text", (1, (2, "x")), frozenset({1}),
    [1, [2, [3]]], {"a": {"b": [1]}}, {1, 2}, bytearray(b"x"), Decimal("1.10"),
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_kept_value_is_what_was_loaded(colour: Colour, backend_url: str, value: Any) -> None:
    cache = tiered(colour, backend_url)
    loads: list[int] = []

    def load(n: int) -> Any:
        loads.append(n)
        return value

    decorated = cache(key="value:{n}")(colour.function(load))
    for _ in range(2):
        found = kept(colour, cache, decorated, 1)
        assert (type(found), found) == (type(value), value)
    assert loads == [1]


def mutate_list(value: Any) -> None:
    value.append("poison")


def mutate_dict(value: Any) -> None:
    value["a"]["b"].append("poison")
    value["poison"] = 1


def mutate_basket(value: Any) -> None:
    value.items.append("poison")


@pytest.mark.parametrize(
    ("made", "kind", "mutate"),
    [
        (lambda: [1, 2], list[int], mutate_list),
        (lambda: {"a": {"b": [1]}}, dict[str, Any], mutate_dict),
        (lambda: {"a": {"b": [1]}}, Any, mutate_dict),
        (lambda: Basket(["x"]), Basket, mutate_basket),
        (lambda: {1}, set[int], lambda value: value.add(2)),
        (lambda: bytearray(b"x"), bytearray, lambda value: value.extend(b"poison")),
    ],
    ids=["list", "dict", "untyped dict", "dataclass", "set", "bytearray"],
)
def test_a_caller_may_change_what_it_got(
    colour: Colour, backend_url: str, made: Any, kind: Any, mutate: Callable[[Any], None]
) -> None:
    cache = tiered(colour, backend_url)

    def load(n: int) -> Any:
        return made()

    load.__annotations__["return"] = kind
    decorated = cache(key="mutable:{n}")(colour.function(load))
    mutate(colour.run(decorated, 1))
    for _ in range(6):
        found = colour.run(decorated, 1)
        assert found == made()
        mutate(found)
    found = kept(colour, cache, decorated, 1)
    mutate(found)
    assert kept(colour, cache, decorated, 1) == made()


def test_a_frozen_value_is_shared(colour: Colour, backend_url: str) -> None:
    cache = tiered(colour, backend_url)

    def load(n: int) -> Address:
        return Address("x")

    decorated = cache(key="frozen:{n}")(colour.function(load))
    assert kept(colour, cache, decorated, 1) is kept(colour, cache, decorated, 1)


@pytest.mark.parametrize("typed", [False, True])
def test_arguments_that_are_equal_but_not_the_same_have_their_own_copies(
    colour: Colour, redis_server: Server, typed: bool
) -> None:
    cache = tiered(colour, redis_server.url)

    def load(n: Any) -> str:
        return repr(n)

    if typed:
        load.__annotations__["n"] = int
    decorated = cache(name="load")(colour.function(load))
    arguments = [1, True, 1.0, "1", 0.0, -0.0, Decimal(1), Decimal("1.0"), b"1", None, "None"]
    for _ in range(5):
        assert [colour.run(decorated, n) for n in arguments] == [repr(n) for n in arguments]


def test_what_cannot_be_hashed_is_kept_by_its_key(colour: Colour, redis_server: Server) -> None:
    cache = tiered(colour, redis_server.url)

    def load(ids: list[int], options: dict[str, int]) -> str:
        return f"{ids} {options}"

    decorated = cache(name="load")(colour.function(load))
    assert kept(colour, cache, decorated, [1], {"a": 1}) == "[1] {'a': 1}"
    assert kept(colour, cache, decorated, [2], {"a": 1}) == "[2] {'a': 1}"
    info = decorated.cache_info()
    assert (info.hits >= 2, info.currsize, info.maxsize) == (True, 2, 10_000)


def test_every_way_of_writing_one_call_finds_one_copy(colour: Colour, redis_server: Server) -> None:
    cache = tiered(colour, redis_server.url)
    tenant = ["a"]
    loads: list[Any] = []

    def load(n: int, page: int = 1, *, session: object = None) -> str:
        loads.append((n, page))
        return f"{n} {page}"

    def vary(n: int, page: int, session: object) -> str:
        return tenant[0]

    plain = cache(name="plain", ignore=["session"])(colour.function(load))
    varied = cache(name="varied", ignore=["session"], vary=vary)(colour.function(load))
    for decorated in (plain, varied):
        loads.clear()
        for _ in range(3):
            kept(colour, cache, decorated, 1)
            assert colour.run(decorated, n=1) == "1 1"
            assert colour.run(decorated, 1, page=1, session=object()) == "1 1"
        assert loads == [(1, 1)]
    tenant[0] = "b"
    colour.run(varied, 1)
    assert loads == [(1, 1), (1, 1)]


def test_two_functions_with_one_key_each_get_their_own_type(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url)

    def as_list(n: int) -> list[int]:
        return [n]

    def as_tuple(n: int) -> tuple[int, ...]:
        return (n,)

    one = cache(key="shared:{n}")(colour.function(as_list))
    other = cache(key="shared:{n}")(colour.function(as_tuple))
    for _ in range(5):
        assert colour.run(one, 1) == [1]
        assert colour.run(other, 1) == (1,)
        assert colour.call(cache, "get", "shared:1") in ([1], (1,))


def test_of_many_keys_those_that_are_kept_are_not_read(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url)
    for key in ("a", "b"):
        colour.call(cache, "set", key, [key])
    kept_key(colour, cache, "a")
    hits = front_hits(cache)
    found = colour.call(cache, "get_many", ["b", "a", "c"])
    assert (list(found.items()), front_hits(cache)) == ([("b", ["b"]), ("a", ["a"])], hits + 1)
    found["a"].append("poison")

    def load(keys: list[str]) -> dict[str, list[str]]:
        return {key: [*keys] for key in keys}

    loaded = colour.call(cache, "get_or_load_many", ["c", "a", "b"], colour.function(load))
    # Those that the first batch has read are kept as well.
    assert (loaded, front_hits(cache)) == ({"c": ["c"], "a": ["a"], "b": ["b"]}, hits + 3)
    assert list(loaded) == ["c", "a", "b"]


@pytest.mark.parametrize("spelling", ["get_many", "get_or_load_many", "decorated"])
def test_what_a_batch_reads_is_kept(
    colour: Colour, backend_url: str, transport: Any, spelling: str
) -> None:
    cache = tiered(colour, backend_url, transport if backend_url != "memory://" else "auto")
    names = [f"k{n}" for n in range(100)]

    def load(keys: list[str]) -> dict[str, list[str]]:
        return {key: [key] for key in keys}

    loader = colour.function(load)
    decorated = cache.many(key="{each}", tags=["t"])(loader)
    reads: dict[str, Callable[[], Any]] = {
        "get_many": lambda: colour.call(cache, "get_many", names),
        "get_or_load_many": lambda: colour.call(cache, "get_or_load_many", names, loader),
        "decorated": lambda: colour.run(decorated, names),
    }
    values = {name: [name] for name in names}
    colour.call(cache, "get_or_load_many", names, loader)
    if spelling == "decorated":
        colour.call(cache, "invalidate", *names)
        reads["decorated"]()
    eventually(lambda: is_open(cache))
    colour.call(cache, "fence")  # the pushes for what was just stored
    assert reads[spelling]() == values
    hits = front_hits(cache)
    assert reads[spelling]() == values
    assert front_hits(cache) == hits + len(names)
    colour.call(cache, "invalidate", "k1")
    colour.call(cache, "fence")
    if spelling != "get_many":
        assert reads[spelling]() == values  # one of them is loaded again


def test_direct_calls_and_functions_see_each_others_writes(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url)

    def load(n: int) -> int:
        return 0

    decorated = cache(key="n:{n}")(colour.function(load))
    assert kept(colour, cache, decorated, 1) == 0
    for version in range(1, 30):
        colour.call(cache, "set", "n:1", version)
        assert colour.run(decorated, 1) == version
        assert colour.call(cache, "get", "n:1") == version
        assert colour.run(decorated, 1) == version
        found = colour.call(cache, "get_or_load", "n:1", colour.function(lambda: -1))
        assert found == version
    colour.run(decorated.store, -5, 1)
    assert [colour.run(decorated, 1) for _ in range(3)] == [-5] * 3


def test_a_tag_that_only_the_entry_has_kills_the_copy_of_an_untagged_function(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(colour, redis_server.url, transport)
    other = tiered(colour, redis_server.url, transport)

    def load(n: int) -> str:
        return "loaded"

    decorated = cache(key="n:{n}")(colour.function(load))
    for killer in (cache, other):
        colour.call(cache, "set", "n:1", "tagged", tags=["t"])
        assert kept(colour, cache, decorated, 1) == "tagged"
        colour.call(killer, "invalidate", tags=["t"])
        colour.call(cache, "fence")
        assert colour.run(decorated, 1) == "loaded"


def test_tags_that_only_the_entry_names_are_heard_on_whichever_connection(
    threads: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(threads, redis_server.url, transport)
    foreign = threads.cache(redis_server.url)
    opened(threads, cache)
    for round_number in range(20):
        key, tag = f"k{round_number}", f"t{round_number}"
        foreign.set(key, "old", tags=[tag])
        # Two connections, of which the idle one that is taken first changes with each call.
        threads.gather(*[cache.ping] * 4)
        kept_key(threads, cache, key)
        foreign.invalidate(tags=[tag])
        cache.fence()
        assert cache.get(key) is None


@pytest.mark.parametrize("way", ["key", "tag", "pattern", "clear", "handle"])
def test_an_invalidation_by_this_process_is_seen_at_once(
    colour: Colour, redis_server: Server, transport: Any, way: str
) -> None:
    cache = tiered(colour, redis_server.url, transport, namespace="shop")
    version = [0]

    def load(n: int) -> int:
        return version[0]

    decorated = cache(key="n:{n}", tags=["all", "n:{n}"])(colour.function(load))
    for _ in range(10):
        kept(colour, cache, decorated, 1)
        version[0] += 1
        invalidate(colour, cache, decorated, way)
        assert colour.run(decorated, 1) == version[0]


@pytest.mark.parametrize("way", ["key", "tag", "pattern", "clear", "handle", "foreign", "flush"])
def test_an_invalidation_by_another_process_is_seen_after_a_fence(
    colour: Colour, any_server: Server, transport: Any, way: str
) -> None:
    cache, other = (tiered(colour, any_server.url, transport, namespace="shop") for _ in range(2))
    version = [0]

    def load(n: int) -> int:
        return version[0]

    body = colour.function(load)
    ours, theirs = (each(key="n:{n}", tags=["all", "n:{n}"])(body) for each in (cache, other))
    for _ in range(8):
        kept(colour, cache, ours, 1)
        version[0] += 1
        if way == "foreign":
            any_server.cli("DEL", "shop:n:1")
        elif way == "flush":
            any_server.cli("FLUSHALL")
        else:
            invalidate(colour, other, theirs, way)
        colour.call(cache, "fence")
        assert colour.run(ours, 1) == version[0]
    front = cache.stats().front
    assert front is not None
    assert (front.transport, front.losses) == (transport, 0)


def invalidate(colour: Colour, cache: Cache, decorated: Any, way: str) -> None:
    if way == "key":
        colour.call(cache, "invalidate", "n:1")
    elif way == "tag":
        colour.call(cache, "invalidate", tags=["n:1"])
    elif way == "pattern":
        colour.call(cache, "invalidate", patterns=["n:*"])
    elif way == "clear":
        colour.call(cache, "clear")
    else:
        colour.run(decorated.invalidate, 1)


@pytest.mark.parametrize("way", ["pattern", "clear"])
def test_a_copy_whose_key_has_gone_before_the_scan_dies_by_the_pattern_all_the_same(
    colour: Colour, redis_server: Server, way: str
) -> None:
    cache = tiered(colour, redis_server.url, "ttl", namespace="shop", max_staleness=60)
    colour.call(cache, "set", "n:1", "old", tags=["t"])
    colour.call(cache, "set", "m:1", "other")
    assert kept_key(colour, cache, "n:1") == "old"
    assert kept_key(colour, cache, "m:1") == "other"
    redis_server.cli("DEL", "shop:n:1")
    hits = front_hits(cache)
    assert colour.call(cache, "get", "n:1") == "old"  # nobody told this process
    invalidate(colour, cache, None, way)
    assert colour.call(cache, "get", "n:1") is None
    colour.call(cache, "get", "m:1")
    assert front_hits(cache) == hits + 1 + (way == "pattern")


def test_a_push_of_many_names_drops_those_that_are_kept(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(colour, redis_server.url, transport)
    for name in "abc":
        colour.call(cache, "set", name, "old")
        kept_key(colour, cache, name)
    pipeline = redis_server.client().pipeline(transaction=True)
    foreign: tuple[str | bytes, ...] = ("x", "a", b"\xff\xfe", "y", "c")
    for each in foreign:
        pipeline.set(each, "foreign")
    pipeline.execute()
    colour.call(cache, "fence")
    found = [colour.call(cache, "get", name) for name in "abc"]
    assert found == [None, "old", None]


def test_a_copy_lives_no_longer_than_its_entry(colour: Colour) -> None:
    moment = [1000.0]
    cache = tiered(colour, "memory://", clock=lambda: moment[0], max_staleness=600)
    colour.call(cache, "set", "k", "v", ttl=10)
    for passed in (5.0, 8.9):
        moment[0] = 1000.0 + passed
        assert kept_key(colour, cache, "k") == "v"
    moment[0] = 1010.0
    assert colour.call(cache, "get", "k") is None


def test_a_copy_is_never_older_than_max_age(colour: Colour) -> None:
    moment = [1000.0]
    front = FrontTier(max_age=5)
    cache = tiered(colour, "memory://", front=front, clock=lambda: moment[0])
    colour.call(cache, "set", "k", "v", ttl=1000)
    assert kept_key(colour, cache, "k") == "v"
    hits = front_hits(cache)
    moment[0] += 5
    assert colour.call(cache, "get", "k") == "v"
    assert front_hits(cache) == hits


def test_a_life_that_somebody_else_shortens_shortens_the_copys_life(
    colour: Colour, any_server: Server, transport: Any
) -> None:
    cache = tiered(colour, any_server.url, transport)
    colour.call(cache, "set", "k", "v", ttl=1000)
    kept_key(colour, cache, "k")
    any_server.cli("PEXPIRE", "k", 60)
    colour.call(cache, "fence")
    colour.call(cache, "get", "k")
    ends = time.monotonic() + WAIT_SECONDS
    while colour.call(cache, "get", "k") is not None:
        assert time.monotonic() < ends
        PAUSE.wait(0.005)
    assert any_server.cli("EXISTS", "k") == 0


def test_inside_of_disabled_nothing_is_served(colour: Colour, redis_server: Server) -> None:
    cache = tiered(colour, redis_server.url)
    loads: list[int] = []

    def load(n: int) -> int:
        loads.append(n)
        return n

    decorated = cache(key="n:{n}")(colour.function(load))
    kept(colour, cache, decorated, 1)
    loads.clear()

    def switched_off(*arguments: Any) -> Any:
        with cache.disabled():
            return decorated(*arguments)

    async def switched_off_later(*arguments: Any) -> Any:
        with cache.disabled():
            return await decorated(*arguments)

    colour.run(switched_off_later if colour.is_async else switched_off, 1)
    assert loads == [1]
    kept(colour, cache, decorated, 1)
    assert loads == [1]


def test_elsewhere_nothing_of_home_is_served(colour: Colour, redis_server: Server) -> None:
    cache = tiered(colour, redis_server.url)

    def load(n: int) -> int:
        return n

    decorated = cache(key="n:{n}")(colour.function(load))
    kept(colour, cache, decorated, 1)
    colour.call(cache, "set", "n:1", 7)
    kept(colour, cache, decorated, 1)
    with cache.override("memory://"):
        assert colour.run(decorated, 1) == 1
        colour.run(decorated.store, 2, 1)
        assert colour.run(decorated, 1) == 2
    assert colour.run(decorated, 1) == 7


def test_hits_are_events_where_somebody_listens_and_are_counted_in_any_case(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url)

    def load(n: int) -> int:
        return n

    decorated = cache(key="n:{n}")(colour.function(load))
    kept(colour, cache, decorated, 1)
    before = decorated.cache_info().hits
    for _ in range(7):
        colour.run(decorated, 1)
    assert decorated.cache_info().hits == before + 7
    heard: list[Hit] = []
    cache.on_event(lambda event: heard.append(event) if isinstance(event, Hit) else None)
    colour.run(decorated, 1)
    assert [(hit.tier, hit.template) for hit in heard] == [("front", "n:{n}")]
    assert cache.stats().hits >= before + 8


def test_a_function_without_its_part_is_never_served_in_process(
    colour: Colour, redis_server: Server
) -> None:
    cache = tiered(colour, redis_server.url)

    def load(n: int) -> int:
        return n

    without = cache(key="n:{n}", front=False)(colour.function(load))
    own = cache(key="o:{n}", front=FrontTier(max_entries=2))(colour.function(load))
    for _ in range(4):
        colour.run(without, 1)
    assert front_hits(cache) == 0
    for n in range(5):
        kept(colour, cache, own, n)
    assert own.cache_info()[2:] == (2, 2)
    assert without.cache_info().maxsize is None


def test_a_server_that_lets_nobody_track_is_told_from_one_that_is_away(
    colour: Colour, own_server: Server
) -> None:
    rights = (*WITHOUT_CLIENT, "+client|id", "+client|list")
    own_server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", *rights)
    cache = tiered(colour, own_server.url.replace("redis://", "redis://app:secret@"))
    colour.call(cache, "set", "k", "v")
    assert kept_key(colour, cache, "k") == "v"
    front = cache.stats().front
    assert front is not None
    lacking = "DC203, grant +client|tracking"
    assert (front.transport, front.reason) == ("ttl", f"tracking: {lacking}; broadcast: {lacking}")


def test_where_pushes_are_not_to_be_had_the_tier_says_so_and_bounds_each_copy(
    colour: Colour, own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    own_server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", *WITHOUT_CLIENT, "+client|id")
    url = own_server.url.replace("redis://", "redis://app:secret@")
    caplog.set_level("INFO", "dualcache")
    cache = tiered(colour, url, max_staleness=0.2)
    colour.call(cache, "set", "k", "old")
    kept_key(colour, cache, "k")
    front = cache.stats().front
    assert front is not None
    assert front.transport == "ttl"
    assert front.reason == (
        "tracking: DC203, grant +client|list; broadcast: DC203, grant +client|tracking"
    )
    eventually(lambda: [line for line in caplog.messages if "front tier" in line], "the log line")
    assert len([line for line in caplog.messages if "front tier" in line]) == 1
    changed = began = time.monotonic()
    own_server.cli("SET", "k", "foreign")
    while colour.call(cache, "get", "k") == "old":
        assert began < changed + 0.2
        PAUSE.wait(0.002)
        began = time.monotonic()
    colour.call(cache, "set", "k", "new")
    kept_key(colour, cache, "k")
    own_server.cli("SET", "k", "foreign")
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None


def test_a_server_without_client_list_is_heard_by_broadcast(
    colour: Colour, own_server: Server
) -> None:
    rights = (*WITHOUT_CLIENT, "+client|id", "+client|tracking")
    own_server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", *rights)
    cache = tiered(colour, own_server.url.replace("redis://", "redis://app:secret@"))
    colour.call(cache, "set", "k", "old")
    kept_key(colour, cache, "k")
    front = cache.stats().front
    assert front is not None
    assert (front.transport, front.reason) == (
        "broadcast",
        "tracking: DC203, grant +client|list",
    )


def test_data_connections_may_speak_the_older_protocol(
    colour: Colour, any_server: Server, transport: Any
) -> None:
    cache = tiered(colour, f"{any_server.url}?protocol=2", transport)
    colour.call(cache, "set", "k", "old")
    kept_key(colour, cache, "k")
    any_server.cli("SET", "k", "foreign")
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None
    assert losses(cache) == 0


def test_a_fence_where_nobody_else_writes_costs_nothing(colour: Colour) -> None:
    cache = tiered(colour, "memory://")
    colour.call(cache, "set", "k", 1)
    kept_key(colour, cache, "k")
    hits = front_hits(cache)
    colour.call(cache, "fence")
    colour.call(cache, "get", "k")
    assert front_hits(cache) == hits + 1


def test_closed_and_used_again_the_tier_opens_again(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = tiered(colour, redis_server.url, transport)
    colour.call(cache, "set", "k", 1)
    for _ in range(5):
        kept_key(colour, cache, "k")
        cache.close()
        assert not is_open(cache)
    colour.call(cache, "get", "k")
    eventually(lambda: is_open(cache))
    kept_key(colour, cache, "k")
