"""`cache_clear()` forgets one function's results, and touches no other key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Loaded
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server


def loader(colour: Colour, cache: Any, **options: Any) -> tuple[Any, list[Any]]:
    """Return a cached function of one text, and the list of its loads."""
    loads: list[Any] = []

    def load(name: str) -> str:
        loads.append(name)
        return f"{name} {len(loads)}"

    return cache(**options)(colour.function(load)), loads


def test_without_a_namespace_keys_of_other_programs_stay(
    colour: Colour, own_server: Server
) -> None:
    cache = colour.cache(own_server.url)
    load, loads = loader(colour, cache, key="{name}")
    own_server.cli("SET", "session:1", "theirs")
    own_server.cli("SET", "long", "theirs" * 100)
    own_server.cli("LPUSH", "queue", "job")
    colour.run(load, "a")
    assert load.cache_clear().removed == 1
    assert own_server.cli("EXISTS", "session:1", "long", "queue") == 3
    colour.run(load, "a")
    assert loads == ["a", "a"]


@pytest.mark.parametrize(
    ("mine", "others"),
    [
        ("user:{name}", "user:{name}:posts"),
        ("{name}", "user:{name}"),
        ("{name}:x", "{name}:y:x"),
    ],
)
def test_keys_of_other_functions_and_direct_calls_stay(
    colour: Colour, backend_url: str, mine: str, others: str
) -> None:
    cache = colour.cache(backend_url)
    load, loads = loader(colour, cache, key=mine)
    other, other_loads = loader(colour, cache, key=others)
    by_hand = cache.key(mine, name="session")
    colour.call(cache, "set", by_hand, "by hand")
    colour.call(cache, "get_or_load", cache.key(mine, name="direct"), colour.function(lambda: 1))
    for function in (load, other):
        colour.run(function, "a")
    assert load.cache_clear().removed == 1
    for function in (load, other):
        colour.run(function, "a")
    assert (loads, other_loads) == (["a", "a"], ["a"])
    assert colour.call(cache, "get", by_hand) == "by hand"
    assert colour.call(cache, "get", cache.key(mine, name="direct")) == 1


def test_a_function_whose_name_begins_like_another_keeps_its_entries(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    one, one_loads = loader(colour, cache, name="get")
    every, every_loads = loader(colour, cache, name="get_all")
    for function in (one, every):
        colour.run(function, "a")
    one.cache_clear()
    for function in (one, every):
        colour.run(function, "a")
    assert (one_loads, every_loads) == (["a", "a"], ["a"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"key": "doc:{name}:end"},
        {"key": "{name}:middle:{name}"},
        {"key": "doc:{name}", "version": 2},
        {"key": "doc:{name}", "vary": len},
        {"key": "d*c[{name}]?"},
        {"key": "white space:{name}"},
        {"key": "{{brace}}\\:{name}"},
        {"key": "é" * 300 + ":{name}"},
        {"name": "a*[b]?"},
    ],
)
@pytest.mark.parametrize("name", ["short", "é" * 700])
def test_every_entry_of_the_function_goes_however_its_key_is_made(
    colour: Colour, backend_url: str, options: dict[str, Any], name: str
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    load, loads = loader(colour, cache, **options)
    colour.run(load, name)
    assert load.cache_clear().removed == 1
    colour.run(load, name)
    assert loads == [name, name]


def test_what_was_stored_or_refreshed_for_a_call_is_the_functions_too(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    load, loads = loader(colour, cache, key="user:{name}")
    colour.run(load.store, "stored", "a")
    colour.run(load, "b")
    colour.run(load.refresh, "b")
    colour.call(cache, "set", "user:c", "by hand")
    colour.run(load.refresh, "c")
    assert load.cache_clear().removed == 3
    del loads[:]
    for name in "abc":
        colour.run(load, name)
    assert loads == ["a", "b", "c"]


def test_two_functions_of_one_template_share_their_entries_and_clear_them(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    load, loads = loader(colour, cache, key="user:{name}")
    twin, twin_loads = loader(colour, cache, key="user:{name}")
    colour.run(load, "a")
    colour.run(twin, "a")
    assert (loads, twin_loads) == (["a"], [])
    twin.cache_clear()
    colour.run(load, "a")
    assert loads == ["a", "a"]


def test_a_load_over_an_entry_set_by_hand_is_revoked_too(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, stale_if_error=60)
    seen, gate = Seen(cache), colour.gate()

    async def body(name: str) -> str:
        await gate.passed()
        return "of before"

    load = cache(key="user:{name}")(colour.function(body))
    colour.call(cache, "set", "user:a", "by hand")
    refreshed = colour.start(lambda: load.refresh("a"))
    gate.wait_until_entered()
    load.cache_clear()
    gate.open()
    assert refreshed.result() == "of before"
    assert [event.outcome for event in seen.of(Loaded)] == ["refused"]
    assert colour.call(cache, "get", "user:a") is None


def test_a_clear_that_cannot_be_delivered_is_kept_and_spares_other_keys(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    now = [0.0]
    cache = colour.cache(proxy.url, clock=lambda: now[0])
    load, loads = loader(colour, cache, key="user:{name}")
    colour.run(load, "a")
    colour.call(cache, "set", "user:session", "by hand")
    proxy.refuse()
    proxy.reset()
    assert load.cache_clear().pending == 1
    proxy.heal()
    now[0] = 3.0
    colour.run(load, "a")
    assert loads == ["a", "a"]
    assert colour.call(cache, "get", "user:session") == "by hand"


def test_a_user_without_the_right_to_read_a_part_of_a_key_clears_a_function_all_the_same(
    colour: Colour, any_own_server: Server
) -> None:
    own_server = any_own_server
    rights = "+get +mget +set +del +unlink +pttl +pexpire +persist +scan +ping +watch +multi +exec"
    user = ("SETUSER", "shop", "on", ">secret", "~*", "-@all", *rights.split(), "+unwatch")
    own_server.cli("ACL", *user)
    cache = colour.cache(own_server.url.replace("://", "://shop:secret@"))
    load, loads = loader(colour, cache, key="user:{name}")
    colour.run(load, "a")
    if not colour.call(cache, "set", "user:session", "by hand"):
        pytest.skip("without that right this server cannot compare")
    assert load.cache_clear().removed == 1
    colour.run(load, "a")
    assert loads == ["a", "a"]
    assert colour.call(cache, "get", "user:session") == "by hand"


@pytest.mark.parametrize("options", [{}, {"key": "price:{currency}:{item}"}, {"name": "price"}])
def test_partials_of_one_function_clear_their_own_entries(
    colour: Colour, backend_url: str, options: dict[str, Any]
) -> None:
    cache = colour.cache(backend_url)
    loads: list[str] = []

    def price(currency: str, item: str) -> str:
        loads.append(currency)
        return f"{currency} {item}"

    body = colour.function(price)
    euros, dollars = (cache(**options)(partial(body, each)) for each in ("EUR", "USD"))
    for _ in range(2):
        colour.run(euros, "tea")
        colour.run(dollars, "tea")
    assert euros.cache_clear().removed == 1
    colour.run(euros, "tea")
    colour.run(dollars, "tea")
    assert loads == ["EUR", "USD", "EUR"]


def test_methods_that_are_bound_clear_the_entries_of_their_object(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    loads: list[str] = []

    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def __cache_key__(self) -> str:
            return self.name

        def load(self, n: int) -> str:
            loads.append(self.name)
            return f"{self.name} {n}"

    here, there = (cache(Shop(name).load) for name in ("here", "there"))
    for load in (here, there, here, there):
        load(1)
    assert here.cache_clear().removed == 1
    for load in (here, there):
        load(1)
    assert loads == ["here", "there", "here"]
