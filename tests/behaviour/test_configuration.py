from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

import dualcache
from dualcache import (
    Cache,
    DualCacheError,
    Event,
    Hit,
    Invalidated,
    Loaded,
    Miss,
    MissingClientError,
    ObserverFailed,
    Settings,
    UsageError,
    Warmed,
)
from tests.behaviour.seen import Seen, run_script, settled, wait_until_only_us
from tests.patience import patient

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server

SECRET = "s3cr3t-w0rd"


# Where a cache lives


def test_a_bare_cache_lives_in_memory_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "dualcache")
    with Cache(settings={"PATH": "x"}) as cache:
        cache.set("k", 1)
        assert cache.get("k") == 1
        assert "memory://" in repr(cache)
    (line,) = caplog.records
    assert line.levelname == "INFO"
    assert "memory" in line.getMessage()


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"DUALCACHE_URL": "redis://one:1/2", "REDIS_CACHE_URL": "redis://two:2"}, "one:1/2"),
        ({"REDIS_CACHE_URL": "redis://two:2"}, "two:2"),
        ({"REDIS_CACHE_HOST": "three"}, "three:6379/0"),
        ({"REDIS_CACHE_PORT": "7"}, "localhost:7/0"),
        (
            {"REDIS_CACHE_HOST": "h", "REDIS_CACHE_PASSWORD": SECRET},
            "h:6379",
        ),
    ],
)
def test_the_environment_says_where(environment: dict[str, str], shown: str) -> None:
    with Cache(settings=environment) as cache:
        assert shown in repr(cache)
        assert SECRET not in repr(cache) + repr(cache.aio) + repr(cache.stats())


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALCACHE_URL", "memory://")
    monkeypatch.setenv("DUALCACHE_NAMESPACE", "shop")
    monkeypatch.setenv("DUALCACHE_TTL", "2m")
    with Cache() as cache:
        assert "shop" in repr(cache)
        cache.set("k", 1)
        assert 119 < (cache.ttl("k") or 0) <= 120


def test_arguments_go_before_the_environment() -> None:
    environment = {"DUALCACHE_URL": "redis://h", "DUALCACHE_NAMESPACE": "e", "DUALCACHE_TTL": "9"}
    with Cache("memory://", namespace="mine", ttl=50, settings=environment) as cache:
        cache.set("k", 1)
        assert "memory" in repr(cache)
        assert "mine" in repr(cache)
        assert 49 < (cache.ttl("k") or 0) <= 50


def test_the_environment_can_switch_a_cache_off(colour: Colour) -> None:
    cache = colour.cache("memory://", settings={"DUALCACHE_ENABLED": "false"})
    loads = []
    load = cache(key="k")(colour.function(lambda: loads.append(1)))
    colour.run(load)
    colour.run(load)
    assert len(loads) == 2
    assert colour.call(cache, "get", "k", "none") == "none"


@pytest.mark.parametrize(
    ("name", "likely"),
    [("DUALCACHE_URI", "DUALCACHE_URL"), ("REDIS_CACHE_HOSTS", "REDIS_CACHE_HOST")],
)
def test_an_unknown_variable_is_a_warning_that_names_the_nearest(
    name: str, likely: str, caplog: pytest.LogCaptureFixture
) -> None:
    Cache("memory://", settings={name: SECRET})
    (line,) = caplog.records
    assert line.levelname == "WARNING"
    assert name in line.getMessage()
    assert likely in line.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "environment",
    [
        {"DUALCACHE_TTL": "soon"},
        {"DUALCACHE_ENABLED": "perhaps"},
        {"REDIS_CACHE_PORT": "port"},
        {"REDIS_CACHE_DB": "-1"},
        {"DUALCACHE_NAMESPACE": "a b"},
        {"DUALCACHE_URL": "postgres://h"},
    ],
)
def test_a_variable_that_cannot_be_right_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        Cache(settings=environment)
    assert caught.value.help


@pytest.mark.parametrize(
    "url",
    [
        f"postgres://user:{SECRET}@h",
        f"redis://user:{SECRET}@h:port",
        f"redis://user:{SECRET}@h:99999",
        f"redis://user:{SECRET}@h/db",
        f"redis://user:{SECRET}@h?socket_timeot=1",
        f"redis://user:{SECRET}@h?socket_timeout=soon",
        f"redis://user:{SECRET}@h?max_connections=0",
        f"redis://user:{SECRET}@h?password={SECRET}&x=1",
        "",
        "memory://?db=1",
    ],
)
def test_a_url_that_cannot_be_right_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Cache(url)
    assert caught.value.help
    assert SECRET not in str(caught.value) + repr(caught.value) + repr(caught.value.details)


@pytest.mark.parametrize(
    ("options", "likely"),
    [
        ({"namspace": "x"}, "namespace"),
        ({"max_conections": 5}, "max_connections"),
        ({"stale_if_eror": 5}, "stale_if_error"),
        ({"namespace": "a b"}, ""),
        ({"namespace": "a:b"}, ""),
        ({"ttl": -1}, ""),
        ({"ttl": "5 parsecs"}, ""),
        ({"jitter": 2}, ""),
        ({"codec": "jsn"}, "json"),
        ({"strict": "perhaps"}, ""),
    ],
)
def test_an_option_of_a_cache_that_cannot_be_right_is_refused(
    options: dict[str, Any], likely: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Cache("redis://localhost", **options)
    assert likely in str(caught.value)


def test_nothing_is_connected_before_the_first_call(redis_server: Server) -> None:
    before = redis_server.cli("INFO", "stats")["total_connections_received"]
    cache = Cache(patient(redis_server.url))

    @cache(key="k")
    def load() -> int:
        return 1

    assert load.key_for() == "k"
    assert redis_server.cli("INFO", "stats")["total_connections_received"] == before
    load()
    assert redis_server.cli("INFO", "stats")["total_connections_received"] > before
    cache.close()


def test_memory_never_imports_redis() -> None:
    source = """
import asyncio, sys
from dualcache import Cache
cache = Cache("memory://")
@cache(key="k")
async def load(): return 1
asyncio.run(load())
cache.set("a", 1)
assert not [name for name in sys.modules if name.split(".")[0] == "redis"]
"""
    assert run_script(source) == ""


def test_null_never_stores(colour: Colour) -> None:
    cache = colour.cache("null://")
    assert colour.call(cache, "set", "k", 1) in {True, False}
    assert colour.call(cache, "get", "k", "none") == "none"
    assert colour.call(cache, "ping") is True
    assert colour.call(cache, "invalidate", "k").pending == 0


# The user's own clients, and ours


def test_a_client_of_the_users_says_where_and_stays_open(redis_server: Server) -> None:
    with redis.Redis(host=redis_server.host, port=redis_server.port) as client:
        with Cache(client=client) as cache:
            cache.set("k", 1)
            assert cache.client is client
            assert redis_server.cli("EXISTS", "k") == 1
        assert client.ping()


def test_an_async_client_of_the_users_says_where(redis_server: Server) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(host=redis_server.host, port=redis_server.port) as client:
            async with Cache(async_client=client).aio as cache:
                await cache.set("k", 1)
                assert cache.client is client
            assert await client.ping()

    asyncio.run(main())
    assert redis_server.cli("EXISTS", "k") == 1


def test_a_client_of_the_wrong_colour_or_one_that_decodes_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        Cache(async_client=redis.Redis())
    assert caught.value.code == "DC176"
    with pytest.raises(UsageError) as caught:
        Cache(client=redis.Redis(decode_responses=True))
    assert caught.value.code == "DC177"
    with pytest.raises(UsageError):
        Cache(client="redis://localhost")


def test_the_raw_clients_are_those_of_their_colour(redis_server: Server) -> None:
    with Cache(patient(redis_server.url)) as cache:
        assert cache.client is cache.client
        assert cache.client.ping()

        async def main() -> None:
            assert await cache.aio.client.ping()
            await cache.aio.aclose()

        asyncio.run(main())


@pytest.mark.parametrize("url", ["memory://", "null://"])
def test_a_cache_without_a_server_has_no_client(tasks: Any, url: str) -> None:
    cache = tasks.cache(url)
    with pytest.raises(MissingClientError):
        _ = cache.client
    with pytest.raises(MissingClientError):
        tasks.run(lambda: cache.aio.client)


# Switched off, elsewhere, opened and closed


def test_a_disabled_cache_reads_and_stores_nothing_but_invalidates(
    colour: Colour, backend_url: str
) -> None:
    cache, loads = colour.cache(backend_url), []

    def body() -> int:
        loads.append(1)
        return len(loads)

    load = cache(key="k")(colour.function(body))
    assert colour.run(load) == 1

    async def inside() -> None:
        face = colour.face(cache)
        with cache.disabled():
            assert await settled(load()) == 2
            assert await settled(face.get("k", "none")) == "none"
            assert await settled(face.set("other", 1)) is False
            assert await settled(face.get_or_load("k", lambda: "loaded")) == "loaded"
            assert (await settled(face.invalidate("k"))).pending == 0
        assert await settled(face.get("k", "none")) == "none"
        assert await settled(face.get("other", "none")) == "none"

    colour.run(colour.function(inside) if not colour.is_async else inside)
    assert colour.run(load) == 3


def test_the_handles_of_functions_read_and_store_nothing_inside_of_disabled(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, front=10)
    loads: list[int] = []

    def body(n: int) -> int:
        loads.append(n)
        return len(loads)

    def bodies(numbers: list[int]) -> dict[int, int]:
        return {number: body(number) for number in numbers}

    load = cache(key="k:{n}")(colour.function(body))
    load_many = cache.many(key="many:{number}")(colour.function(bodies))
    for _ in range(2):  # the second is kept by the front tier
        assert (colour.run(load, 1), colour.run(load_many, [1])) == (1, {1: 2})

    async def inside() -> None:
        with cache.disabled():
            assert await settled(load.peek(1)) is None
            assert await settled(load.store(9, 1)) is False
            assert await settled(load.refresh(1)) == 3
            assert await settled(load.warm([1, 2])) == Warmed(loaded=2)
            assert await settled(load_many.peek([1])) == {}
            assert (await settled(load_many.refresh([1]))).keys() == {1}
            assert await settled(load(1)) == len(loads) == 7
        assert (await settled(load.peek(1))).value == 1
        assert await settled(load.peek(2)) is None
        assert (await settled(load_many.peek([1])))[1].value == 2
        with cache.disabled():
            assert (await settled(load.invalidate(1))).removed == 1
            assert (await settled(load_many.invalidate([1]))).removed == 1
        assert await settled(load.peek(1)) is None
        assert await settled(load_many.peek([1])) == {}

    colour.run(colour.function(inside) if not colour.is_async else inside)


def test_disabling_is_local_to_a_thread(backend_url: str) -> None:
    with Cache(patient(backend_url)) as cache:
        cache.set("k", 1)
        found: list[Any] = []
        with cache.disabled():
            thread = threading.Thread(target=lambda: found.append(cache.get("k")))
            thread.start()
            thread.join()
            assert cache.get("k") is None
        assert found == [1]


def test_an_override_lives_elsewhere_for_a_while(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    loads = []
    load = cache(key="k")(colour.function(lambda: loads.append(1)))
    colour.run(load)
    with cache.override("memory://") as inner:
        assert inner is cache
        assert colour.call(cache, "get", "k", "none") == "none"
        colour.run(load)
        colour.run(load)
        assert len(loads) == 2
    colour.run(load)
    assert len(loads) == 2


def test_a_cache_may_be_used_again_after_it_was_closed(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)
    colour.call(cache, "set", "k", 1)
    for _ in range(2):
        if colour.is_async:
            colour.run(cache.aio.aclose)
        cache.close()
        assert colour.call(cache, "get", "k") == 1


def test_lifespan_opens_and_closes(own_server: Server) -> None:
    cache = Cache(patient(own_server.url))

    async def main() -> None:
        async with cache.lifespan(object()):
            assert await cache.aio.set("k", 1)
        wait_until_only_us(own_server)

    asyncio.run(main())


# Seeing it work


def test_events_carry_templates_and_never_keys_or_values(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)

    def body(name: str) -> str:
        return SECRET

    load = cache(key="user:{name}", tags=["{name}"])(colour.function(body))
    for _ in range(2):
        colour.run(load, "key-of-somebody")
    colour.run(load.invalidate, "key-of-somebody")
    assert [type(event) for event in seen.events] == [Miss, Loaded, Hit, Invalidated]
    assert {event.template for event in seen.events} == {"user:{name}"}
    assert "key-of-somebody" not in repr(seen.events)
    assert SECRET not in repr(seen.events)


def test_an_observer_that_raises_is_counted_and_harms_nobody(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    told: list[Event] = []

    @cache.on_event
    def raising(event: object) -> None:
        raise ValueError(SECRET)

    cache.on_event(told.append)
    assert colour.call(cache, "set", "k", 1) is True
    assert colour.call(cache, "get", "k") == 1
    assert [type(event) for event in told].count(Hit) == 1
    assert any(isinstance(event, ObserverFailed) and event.error == "ValueError" for event in told)
    assert cache.stats().observer_failures >= 1


def test_an_observer_of_an_override_goes_on_to_hear_afterwards(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "get_or_load", "before", lambda: 1)
    with cache.override("memory://"):
        seen = Seen(cache)
    colour.call(cache, "get_or_load", "after", lambda: 1)
    assert (seen.count(Miss), seen.count(Loaded)) == (1, 1)
    colour.call(cache, "get", "after")
    assert seen.count(Hit) == 1
    with cache.disabled():
        colour.call(cache, "get", "k")
    assert seen.count(Miss) == 2


def test_a_hit_is_an_event_only_where_somebody_listens(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", 1)
    colour.call(cache, "get", "k")
    seen = Seen(cache)
    colour.call(cache, "get", "k")
    assert seen.count(Hit) == 1
    assert cache.stats().hits == 2


def test_stats_add_up(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def body(n: int) -> int:
        return n

    load = cache(key="k:{n}")(colour.function(body))
    for n in (1, 1, 1, 2):
        colour.run(load, n)
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.loads, stats.stale_hits) == (2, 2, 2, 0)
    assert stats.templates["k:{n}"].hits == 2
    assert (stats.pending, stats.is_available) == (0, True)
    assert stats.as_dict()["templates"]["k:{n}"]["loads"] == 2
    assert colour.is_async is False or colour.run(cache.aio.stats) == stats
    assert load.cache_info()[:2] == (2, 2)


def test_a_quiet_cache_logs_nothing(
    colour: Colour, backend_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.INFO)
    cache = colour.cache(backend_url)
    load = cache(key="k")(colour.function(lambda: 1))
    for _ in range(3):
        colour.run(load)
        colour.call(cache, "invalidate", "k")
    assert [record for record in caplog.records if record.name.startswith("dualcache")] == []


def test_every_error_can_be_pickled_and_holds_its_parts() -> None:
    for name in dualcache.__all__:
        kind = getattr(dualcache, name)
        if not (isinstance(kind, type) and issubclass(kind, DualCacheError)):
            continue
        error = kind("what", code="DC999", details=(("where", "there"),), help="fix it")
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert str(copy) == str(error) == "[DC999] what\n  where     there\n  help      fix it"
        assert kind.__module__ == "dualcache"


def test_an_observer_may_use_the_cache_itself(threads: Any, backend_url: str) -> None:
    cache, counts = threads.cache(backend_url), []

    def observe(event: object) -> None:
        if isinstance(event, Loaded):
            counts.append(cache.get("other"))
            cache.set("other", len(counts))

    cache.on_event(observe)
    load = cache(key="k:{n}")(lambda n: n)
    assert [load(n) for n in range(3)] == [0, 1, 2]
    assert counts == [None, 1, 2]


def test_settings_may_be_given_whole() -> None:
    with Cache(settings=Settings(url="memory://", namespace="n", ttl=5)) as cache:
        cache.set("k", 1)
        assert 4 < (cache.ttl("k") or 0) <= 5
        assert "namespace='n'" in repr(cache)


async def open_and_close(url: str) -> bool:
    async with Cache(url, namespace="shop") as cache:
        return await cache.aio.set("greeting", "hello")


def test_a_cache_is_an_async_context_manager_of_its_own(backend_url: str) -> None:
    assert asyncio.run(open_and_close(patient(backend_url))) is True
