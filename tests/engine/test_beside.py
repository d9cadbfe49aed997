"""Entries of several shapes under one key: flows of several releases on one store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dualcache.backends.memory import MemoryStore
from dualcache.core.codec_ids import other_shape
from dualcache.core.entry import MISSING, Tag, ValueCodec
from dualcache.core.events import Miss
from dualcache.core.flight import CloseFlights, EndFlight, Join, Load
from dualcache.core.ops import Delete, Loaded
from dualcache.core.policy import Call, Counters
from dualcache.engine.batch import get_or_load_many
from dualcache.engine.beside import MOST_BESIDE, call_beside, without_shapes
from dualcache.engine.freshness import OTHER, ReadResult
from dualcache.engine.health import Health
from dualcache.engine.invalidation import clear_function
from dualcache.engine.listing import list_names
from dualcache.engine.load import get_or_load, refresh
from dualcache.engine.peek import peek
from dualcache.engine.read import get
from dualcache.engine.read_many import get_many
from dualcache.engine.refresh_many import refresh_many
from tests.engine.conversation import KEY, lead, pack, policy, surroundings, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

OWNER = b"function"


def release(number: int) -> ValueCodec:
    """Return the value codec of a release whose types have a shape of their own."""
    shape = b"shape-%02d" % number

    def read(key: str, stored: Any) -> Any:
        if stored.shape != shape:
            raise other_shape(shape)
        return unpack(key, stored)

    def copy(packed: Any) -> Any:
        return unpack("", packed)

    return ValueCodec(lambda value: replace(pack(value), shape=shape), read, copy)


class Store:
    """A store in memory, and the loads of all flows that ran on it."""

    def __init__(self) -> None:
        self.memory = MemoryStore(lambda: 0.0)
        self.loads: list[str] = []

    def run(self, flow: Flow[Any], value: str | dict[str, str] = "value") -> Any:
        """Run a flow to its end; its loads return `value`."""
        reply: Any = None
        while True:
            try:
                op: Any = flow.send(reply)
            except StopIteration as end:
                return end.value
            if type(op) is Join:
                reply = lead(op)
            elif type(op) is Load:
                self.loads.append(op.args[0] if op.args else "one")
                reply = Loaded(value, 5.0)
            elif type(op) in (EndFlight, CloseFlights):
                reply = None
            else:
                reply = self.memory.perform(op)

    def keys(self, env: Env) -> list[str]:
        page = self.run(list_names(0, "*", env))
        names: list[str] = page.names
        return names


def asked(number: int, key: str = KEY, **options: Any) -> Call:
    """Return a call of the function of a release."""
    return Call(key, policy(value_codec=release(number), owner=OWNER, **options))


def cold(number: int) -> Call:
    usage = Counters()
    usage.recent_hits = 0.0
    return asked(number, counters=usage)


@pytest.mark.parametrize("make", [asked, cold])
def test_each_release_loads_once_and_is_served_from_then_on(make: Callable[[int], Call]) -> None:
    store, (env, events) = Store(), surroundings()
    for _ in range(3):
        for number in (1, 2, 3):
            outcome = store.run(get_or_load(make(number), env), f"v{number}")
            assert outcome.value == f"v{number}"
    assert len(store.loads) == 3
    assert "shape" in [event.reason for event in events if isinstance(event, Miss)]
    assert store.keys(env) == [KEY]


def test_reads_without_a_load_look_beside_too() -> None:
    store, (env, events) = Store(), surroundings()
    store.run(get_or_load(asked(1), env), "v1")
    assert store.run(get(asked(2), env)) is MISSING
    assert store.run(peek(asked(2), env)) is None
    assert events[-1] == Miss("k", "shape")
    store.run(get_or_load(asked(2), env), "v2")
    assert store.run(get(asked(2), env)) == "v2"
    assert store.run(peek(asked(2), env)).value == "v2"
    assert store.run(get_many([asked(1), asked(2), asked(3)], env)) == ["v1", "v2", MISSING]


@pytest.mark.parametrize("hits", [0, 1])
def test_several_keys_are_loaded_in_one_call_beside_what_is_there(hits: int) -> None:
    store, (env, _) = Store(), surroundings()
    values = {name: f"{name}1" for name in "ab"}
    for name, value in values.items():
        store.run(get_or_load(asked(1, name), env), value)
    store.loads.clear()

    def many(number: int) -> Any:
        usage = Counters()
        usage.hits = hits
        calls = {name: asked(number, name, counters=usage) for name in "abc"}
        return get_or_load_many(calls, lambda _: None, lambda _: lambda: None, env)

    loaded = {name: f"{name}2" for name in "abc"}
    assert store.run(many(2), loaded) == loaded
    assert store.run(many(2), {}) == loaded
    assert store.run(many(1), {}) == {**values, "c": "c1"} or len(store.loads) == 2
    assert sorted(store.loads[0]) == ["a", "b", "c"]


def test_a_refresh_goes_beside_what_is_there() -> None:
    store, (env, _) = Store(), surroundings()
    store.run(get_or_load(asked(1), env), "v1")
    store.run(refresh(asked(2), env), "v2")
    store.run(refresh(asked(2), env), "v3")
    assert store.run(get(asked(1), env)) == "v1"
    assert store.run(get(asked(2), env)) == "v3"


def test_what_lies_beside_an_entry_ends_with_it() -> None:
    store, (env, _) = Store(), surroundings()
    for number in (1, 2):
        store.run(get_or_load(asked(number), env), f"v{number}")
    store.memory.perform(Delete((KEY,)))
    store.run(get_or_load(asked(1), env), "v3")
    assert store.run(get(asked(2), env)) is MISSING
    assert store.run(get_or_load(asked(2), env), "v4").value == "v4"


def test_a_function_clears_what_it_has_stored_beside_an_entry_of_nobody() -> None:
    store, (env, _) = Store(), surroundings()
    nobody = asked(1)
    nobody = replace(nobody, policy=replace(nobody.policy, owner=b""))
    store.run(get_or_load(nobody, env), "v1")
    store.run(get_or_load(asked(2), env), "v2")
    store.run(clear_function(OWNER, KEY, env))
    assert store.run(get(nobody, env)) == "v1"
    assert store.run(get(asked(2), env)) is MISSING


@pytest.mark.parametrize("flow", [get_or_load, refresh])
def test_the_caller_of_one_shape_too_many_stores_nothing(flow: Any) -> None:
    store, (env, _) = Store(), surroundings()
    beside = tuple(Tag(f"~v:{at}", b"version!") for at in range(MOST_BESIDE))
    store.run(get_or_load(asked(1), env), "v1")
    last = replace(asked(2), beside=beside)
    for value in ("v2", "v3"):
        assert store.run(flow(last, env), value).value == value
    assert store.run(get(last, env)) is MISSING
    calls = {KEY: last}
    many = get_or_load_many(calls, lambda _: None, lambda _: lambda: None, env)
    assert store.run(many, {KEY: "v4"}) == {KEY: "v4"}
    again = refresh_many(calls, lambda _: None, env)
    assert store.run(again, {KEY: "v5"}) == {KEY: "v5"}
    assert store.run(get(asked(1), env)) == "v1"


def test_what_is_found_while_nothing_can_be_stored_is_served_from_beside() -> None:
    store, (env, _) = Store(), surroundings()
    for number in (1, 2):
        store.run(get_or_load(asked(number), env), f"v{number}")
    stopped, _ = surroundings(50, ways=(), health=Health())
    assert store.run(get_or_load(cold(2), stopped)).value == "v2"


def test_only_a_key_beside_another_ends_in_a_shape() -> None:
    assert without_shapes(b"k~0123456789abcdef~0123456789abcdef") == b"k"
    for key in (b"k", b"k~0123456789ABCDEF", b"k~0123456789abcdef~x", b"k~0123456789abcdef0"):
        assert without_shapes(key) == key
    usual = ReadResult(OTHER, 1, None, None, None)
    assert call_beside(asked(1), usual, surroundings()[0]) is None
