"""Big jobs: how they are split, and that others are let run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.memory import MemoryStore
from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import CloseFlights, EndFlight, Join, Load
from dualcache.core.ops import Batch, GiveWay, Loaded, LookAndLease, TryLease
from dualcache.core.policy import Call
from dualcache.engine.batch import get_or_load_many
from dualcache.engine.invalidation import clear_function, invalidate
from dualcache.engine.pipelines import (
    MOST_AT_ONCE,
    MOST_BYTES_AT_ONCE,
    STEPS_AT_ONCE,
    paced,
    slices,
    slices_by_size,
)
from dualcache.engine.read_many import get_many
from dualcache.engine.write import set_many
from dualcache.errors import BackendTimeout
from tests.engine.conversation import lead, policy, slow, surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

NAMES = [f"k{number}" for number in range(2 * MOST_AT_ONCE + 1)]
POLICY = policy()
OWNER = b"function"
CALLS = {name: Call(name, POLICY) for name in NAMES}


def run(flow: Flow[Any], perform: Callable[[Any], Any]) -> tuple[Any, int]:
    """Run a flow; return what it returns, and how often it gave way."""
    local: dict[type, Callable[[Any], Any]] = {
        Join: lead,
        Load: lambda op: Loaded(dict.fromkeys(op.args[0], "v"), 1.0),
        GiveWay: lambda _: None,
        EndFlight: lambda _: None,
        CloseFlights: lambda _: None,
    }
    given = 0
    try:
        op = next(flow)
        while True:
            given += type(op) is GiveWay
            try:
                reply = local.get(type(op), perform)(op)
            except BackendTimeout as error:
                op = flow.throw(error)
            else:
                op = flow.send(reply)
    except StopIteration as end:
        return end.value, given


def sets(env: Env) -> Flow[Any]:
    return set_many([(call, "v") for call in CALLS.values()], env)


def loads(env: Env) -> Flow[Any]:
    return get_or_load_many(CALLS, dict.fromkeys, lambda _: lambda: "v", env)


def reads(env: Env) -> Flow[Any]:
    return get_many(list(CALLS.values()), env)


def deletes(env: Env) -> Flow[Any]:
    return invalidate(NAMES, (), (), env)


def clears(env: Env) -> Flow[Any]:
    return invalidate((), (), ("k*",), env)


def clears_function(env: Env) -> Flow[Any]:
    return clear_function(OWNER, "k*", env)


@pytest.mark.parametrize("job", [clears, clears_function])
def test_a_page_of_many_keys_gives_way_about_once_in_a_thousand(
    job: Callable[[Env], Flow[Any]],
) -> None:
    store = MemoryStore(lambda: 0.0)
    env, _ = surroundings()
    owned = [(Call(name, policy(owner=OWNER)), "v") for name in NAMES]
    run(set_many(owned, env), store.perform)
    result, given = run(job(env), store.perform)
    assert result.removed == len(NAMES)
    assert given >= len(NAMES) // MOST_AT_ONCE


@pytest.mark.parametrize("job", [sets, loads, reads, deletes])
def test_a_big_job_gives_way_about_once_in_so_many_steps(job: Callable[[Env], Flow[Any]]) -> None:
    store = MemoryStore(lambda: 0.0)
    env, _ = surroundings()
    run(sets(env), store.perform)
    if job is loads:
        run(deletes(env), store.perform)
    result, given = run(job(env), store.perform)
    assert given >= len(NAMES) // STEPS_AT_ONCE
    if job is deletes:
        assert result.removed == len(NAMES)
    else:
        assert len(result) == len(NAMES)


def test_of_a_big_load_the_keys_whose_leases_were_taken_are_stored() -> None:
    store = MemoryStore(lambda: 0.0)
    env, events = surroundings()
    leases = 0

    def perform(op: Any) -> Any:
        nonlocal leases
        if isinstance(op, Batch) and isinstance(op.ops[0], LookAndLease):
            leases += 1
            if leases == 2:
                raise slow()
        return store.perform(op)

    result, _ = run(loads(env), perform)
    assert len(result) == len(NAMES)
    outcomes = [event.outcome for event in events if isinstance(event, LoadedEvent)]
    assert outcomes.count("stored") == MOST_AT_ONCE + 1
    found, _ = run(reads(env), store.perform)
    assert found.count("v") == MOST_AT_ONCE + 1


def test_a_big_batch_is_loaded_anew_in_the_background_by_one_call() -> None:
    store = MemoryStore(lambda: 0.0)
    clock_ms = 0
    env, events = surroundings(now_ms=lambda: clock_ms)
    window = policy(ttl_ms=1_000, stale_while_revalidate_ms=60_000)
    calls = {name: Call(name, window) for name in NAMES}
    run(set_many([(call, "v") for call in calls.values()], env), store.perform)
    clock_ms = 2_000
    begun: list[Spawn] = []

    def perform(op: Any) -> Any:
        if not isinstance(op, Spawn):
            return store.perform(op)
        begun.append(op)
        return SpawnReply.STARTED

    def batch() -> Flow[Any]:
        return get_or_load_many(calls, dict.fromkeys, lambda _: lambda: "v", env)

    def elsewhere(op: Any) -> Any:
        """Reply that another process holds all leases."""
        is_claim = isinstance(op, Batch) and isinstance(op.ops[0], TryLease)
        return (False,) * len(op.ops) if is_claim else store.perform(op)

    for act, whole in ((elsewhere, 0.0), (store.perform, 1.0)):
        window.counters.whole_batches = whole
        result, given = run(batch(), perform)
        assert len(result) == len(NAMES)
        assert given >= len(NAMES) // STEPS_AT_ONCE
        _, given = run(begun.pop().flow, act)
        assert not begun
        assert given >= len(NAMES) // STEPS_AT_ONCE
    outcomes = [event.outcome for event in events if isinstance(event, LoadedEvent)]
    assert outcomes == ["stored"] * len(NAMES)


def test_a_small_job_does_not_pause() -> None:
    env, _ = surroundings()
    few = {name: CALLS[name] for name in NAMES[:STEPS_AT_ONCE]}
    store = MemoryStore(lambda: 0.0)
    _, given = run(get_or_load_many(few, dict.fromkeys, lambda _: lambda: "v", env), store.perform)
    assert given == 0


def test_items_are_made_in_order() -> None:
    flow = paced(str, range(STEPS_AT_ONCE + 1))
    assert type(next(flow)) is GiveWay
    with pytest.raises(StopIteration) as end:
        flow.send(None)
    assert end.value.value == [str(number) for number in range(STEPS_AT_ONCE + 1)]


def test_slices_hold_all_in_order() -> None:
    assert [len(part) for part in slices(NAMES)] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]
    assert [name for part in slices(NAMES) for name in part] == NAMES
    assert list(slices([])) == []


def test_slices_by_size_hold_no_more_than_fits_or_one() -> None:
    third = MOST_BYTES_AT_ONCE // 3
    sizes = [third, third, third, third, 4 * third, 1, 1]
    parts = slices_by_size(sizes, lambda size: size)
    assert parts == [[third] * 3, [third], [4 * third], [1, 1]]
    assert [len(part) for part in slices_by_size(NAMES, lambda _: 0)] == [1000, 1000, 1]
    assert slices_by_size([], lambda _: 0) == []
