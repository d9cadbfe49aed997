"""The nodes of a cluster: each fails alone, and what it is owed follows the keys."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from dualcache.core.apart import At
from dualcache.core.entry import MISSING
from dualcache.core.events import (
    BackendDown,
    BackendUp,
    Invalidated,
    Miss,
    Replayed,
    ScansRefused,
)
from dualcache.core.ops import Batch, Claim, Delete, Look, Ping, RawRead, ReadTags
from dualcache.core.scans import Scan, ScanPage
from dualcache.engine import health
from dualcache.engine.apart import groups
from dualcache.engine.attempts import attempt, attempt_once
from dualcache.engine.batch import get_or_load_many
from dualcache.engine.health import Health, Owned, PendingDeletion
from dualcache.engine.invalidation import clear, clear_function, invalidate
from dualcache.engine.listing import list_names
from dualcache.engine.looks import begin_look
from dualcache.engine.nodes import UNKNOWN_NODE, Nodes
from dualcache.engine.read_many import get_many, peek_many
from dualcache.engine.recovery import ask, ask_each, ask_once, keep_pending
from dualcache.engine.serve import look_failed, serve
from dualcache.engine.split import split
from dualcache.engine.upkeep import ping_server
from dualcache.errors import BackendRefused, BackendTimeout, BackendUnavailable
from tests.engine.conversation import call, cut, script, stored, surroundings
from tests.engine.nodes_of_memory import NAMES, MemoryCluster

A, B, C = NAMES


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


def refused(prefix: str) -> BackendRefused:
    error = BackendRefused("refused", code="DC202")
    error.prefix = prefix
    return error


def put(cluster: MemoryCluster, *keys: str) -> None:
    for key in keys:
        cluster.stores[cluster.owner(key)].perform(Claim(key, b"v", 60_000))


def state(cluster: MemoryCluster) -> tuple[bool, bool]:
    """Return whether all nodes are clear, and whether all are there."""
    return cluster.env.health.is_clear, cluster.env.health.is_available


def is_there(cluster: MemoryCluster, key: str) -> bool:
    return any(store.perform(Look(key)).raw is not None for store in cluster.stores.values())


def test_an_op_goes_to_the_node_of_its_key(cluster: MemoryCluster) -> None:
    key = cluster.key_at(B)
    put(cluster, key)
    assert cluster.run(ask(Look(key), cluster.env)) == RawRead(b"v")
    assert cluster.asked == [(B, Look(key))]


def test_a_node_that_is_down_is_an_outage_of_its_keys_alone(cluster: MemoryCluster) -> None:
    here, there = cluster.key_at(A), cluster.key_at(B)
    put(cluster, here, there)
    cluster.fail(B)
    with pytest.raises(BackendUnavailable):
        cluster.run(ask(Look(there), cluster.env))
    assert [event.node for event in cluster.events if isinstance(event, BackendDown)] == [B]
    asked = len(cluster.asked)
    with pytest.raises(BackendUnavailable) as raised:
        cluster.run(ask(Look(there), cluster.env))
    assert raised.value.code == "DC205"
    assert len(cluster.asked) == asked, "the breaker of that node is open"
    assert cluster.run(ask(Look(here), cluster.env)) == RawRead(b"v")
    assert state(cluster) == (False, False), "hits look whether their node is well"
    cluster.down.clear()
    cluster.now_ms += 600
    assert cluster.run(ask(Look(there), cluster.env)) == RawRead(b"v")
    assert [event.node for event in cluster.events if isinstance(event, BackendUp)] == [B]
    assert state(cluster) == (True, True)


def test_of_a_batch_the_keys_of_living_nodes_are_read(cluster: MemoryCluster) -> None:
    here, there = cluster.key_at(A), cluster.key_at(B)
    put(cluster, here, there)
    cluster.fail(B)
    replies = cluster.run(ask_each([Look(here), Look(there)], cluster.env))
    assert replies[0] == RawRead(b"v")
    assert isinstance(replies[1], BackendUnavailable)
    with pytest.raises(BackendUnavailable):
        cluster.run(ask(Batch((Look(here), Look(there))), cluster.env))
    with pytest.raises(BackendUnavailable):
        cluster.run(ask_each([Look(there), Look(cluster.key_at(B, 1))], cluster.env))


def test_one_server_that_fails_fails_all_of_a_batch() -> None:
    env, _ = surroundings()
    ops = [Look("k"), Look("l")]
    script(ask_each(ops, env), (Batch(tuple(ops)), (1, 2))).returns((1, 2))
    failing = (Batch(tuple(ops)), BackendUnavailable("down", code="DC200"))
    script(ask_each(ops, env), failing).raises(BackendUnavailable)


def test_a_first_look_that_fails_tells_against_its_node(cluster: MemoryCluster) -> None:
    here, there = cluster.key_at(A), cluster.key_at(B)
    put(cluster, here)
    cluster.fail(B, BackendTimeout("slow", code="DC201"))
    asked = replace(call(there), key=here)
    first = begin_look(asked, cluster.env)
    with pytest.raises(BackendTimeout) as raised:
        cluster.perform(first.op)
    look_failed(first, raised.value, cluster.env)
    assert cluster.nodes.is_well(B)
    assert cluster.env.health.breaker.failures == 1, "a hit is to tell who answers"
    cluster.down.clear()
    first = begin_look(asked, cluster.env)
    serve(asked, first, cluster.perform(first.op), cluster.env)
    assert cluster.env.health.breaker.failures == 0


def test_a_batch_is_served_and_stored_where_nodes_answer(cluster: MemoryCluster) -> None:
    env = cluster.env
    here, there = cluster.key_at(A), cluster.key_at(B)
    calls = {key: replace(call(), key=key) for key in (here, there)}
    loads: list[list[str]] = []

    def loader(names: list[str]) -> dict[str, str]:
        loads.append(names)
        return dict.fromkeys(names, "value")

    def get() -> Any:
        return cluster.run(get_or_load_many(calls, loader, lambda _: lambda: None, env))

    cluster.fail(B)
    with pytest.raises(BackendUnavailable):
        cluster.run(ask(Look(there), env))
    assert get() == {here: "value", there: "value"}
    assert is_there(cluster, here)
    assert not is_there(cluster, there)
    for each in calls.values():
        each.policy.counters.count_batch(is_whole=True)
    assert get() == {here: "value", there: "value"}
    assert loads == [[here, there], [there]]
    assert cluster.run(get_many([*calls.values()], env)) == ["value", MISSING]
    seen = cluster.run(peek_many([*calls.values()], env))
    assert [entry and entry.value for entry in seen] == ["value", None]
    assert [event.reason for event in cluster.events if isinstance(event, Miss)][-1] == (
        "backend_down"
    )


def test_what_needs_a_node_that_is_down_goes_by_itself(cluster: MemoryCluster) -> None:
    here, there = cluster.key_at(A), cluster.key_at(B)
    keys = [here, there, cluster.key_at(C)]
    assert groups(keys, lambda key: (key,), cluster.env) == [keys]
    cluster.fail(B)
    with pytest.raises(BackendUnavailable):
        cluster.run(ask(Look(there), cluster.env))
    assert groups(keys, lambda key: (key,), cluster.env) == [[here, keys[2]], [there]]
    assert groups(keys[1:2], lambda key: (key,), cluster.env) == [[there]]
    env, _ = surroundings()
    assert groups(keys, lambda key: (key,), env) == [keys]


def test_holds_outlive_a_pattern_in_whatever_order_nodes_are_searched(
    cluster: MemoryCluster,
) -> None:
    env = cluster.env
    keys = [f"key-{n}" for n in range(20)]
    cluster.run(invalidate(keys, (), (), env, hold_ms=5_000))
    assert cluster.run(invalidate((), (), ("key-*",), env)).pending == 0
    assert all(is_there(cluster, key) for key in keys)
    cluster.fail(B)
    assert cluster.run(invalidate((), (), ("key-*",), env)).pending == 1
    cluster.down.clear()
    cluster.now_ms += 2_100
    cluster.run(ask(Look(cluster.key_at(B)), env))
    assert all(is_there(cluster, key) for key in keys), "after the replay, too"
    assert cluster.run(clear(env)).pending == 0
    assert not any(is_there(cluster, key) for key in keys)


def test_a_part_whose_connection_was_cut_is_asked_again(cluster: MemoryCluster) -> None:
    here, there = cluster.key_at(A), cluster.key_at(B)
    put(cluster, here, there)

    def once(node: str, _: Any) -> None:
        if node == B and B in cluster.down:
            raise cluster.down.pop(B)

    cluster.before = once
    cluster.down[B] = cut()
    assert cluster.run(ask_each([Look(here), Look(there)], cluster.env)) == [RawRead(b"v")] * 2
    cluster.down[B] = cut()
    with pytest.raises(BackendUnavailable):
        cluster.run(ask_once(Look(there), cluster.env))
    assert cluster.run(ask(Look(there), cluster.env)) == RawRead(b"v")
    cluster.before = lambda _node, _op: None
    cluster.down[B] = cut()
    with pytest.raises(BackendUnavailable):
        cluster.run(attempt(Look(there), cluster.env))


def test_a_failure_that_shows_the_new_owner_is_asked_there(cluster: MemoryCluster) -> None:
    key = cluster.key_at(B)
    put(cluster, key)
    cluster.fail(B)

    def is_known_now(node: str, _: Any) -> None:
        if node == B:
            cluster.move(key, A)
            cluster.nodes.adopt(cluster.slots)

    cluster.before = is_known_now
    assert cluster.run(attempt(Look(key), cluster.env)) == RawRead(b"v")


def test_an_op_at_one_node_stays_there_when_it_is_repeated(cluster: MemoryCluster) -> None:
    def first(node: str, _: Any) -> None:
        if len(cluster.asked) == 1:
            raise cut()

    cluster.before = first
    page = cluster.run(ask(At(C, Scan(0, "*", 10)), cluster.env))
    assert page.keys == ()
    assert [node for node, _ in cluster.asked] == [C, C]


def test_a_deletion_for_a_node_that_is_down_waits_for_it(cluster: MemoryCluster) -> None:
    here, there = cluster.key_at(A), cluster.key_at(B)
    put(cluster, here, there)
    cluster.fail(B)
    done = cluster.run(invalidate((here, there), (), (), cluster.env))
    assert not is_there(cluster, here)
    assert (done.removed, done.pending) == (1, 1)
    assert cluster.env.health.pending_count >= 1
    cluster.down.clear()
    cluster.now_ms += 600
    assert cluster.run(ask(Look(there), cluster.env)) == RawRead(None)
    assert any(isinstance(event, Replayed) for event in cluster.events)
    assert cluster.env.health.pending_count == 0


def test_a_node_with_an_open_breaker_is_not_asked_to_delete(cluster: MemoryCluster) -> None:
    here, there = cluster.key_at(A), cluster.key_at(B)
    cluster.fail(B)
    with pytest.raises(BackendUnavailable):
        cluster.run(ask(Look(there), cluster.env))
    cluster.asked.clear()
    done = cluster.run(invalidate((there,), (), (), cluster.env))
    assert done.pending == 1
    assert B not in [node for node, _ in cluster.asked]
    assert cluster.run(invalidate((), (there,), (), cluster.env)).pending == 1
    done = cluster.run(invalidate((here, there), (), ("x*",), cluster.env))
    assert done.pending == 2
    for node in (A, C):
        cluster.fail(node)
    for key in (here, cluster.key_at(C)):
        with pytest.raises(BackendUnavailable):
            cluster.run(ask(Look(key), cluster.env))
    assert cluster.run(invalidate((), (), ("x*",), cluster.env)).pending == 1


def test_a_pending_deletion_follows_its_key_to_another_node(cluster: MemoryCluster) -> None:
    key, other = cluster.key_at(B), cluster.key_at(B, 1)
    put(cluster, key)
    cluster.fail(B)
    cluster.run(invalidate((key, other), (), (), cluster.env))
    cluster.move(key, C)
    assert cluster.nodes.adopt(cluster.slots)
    assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None), "deleted before it was read"
    assert not is_there(cluster, key)


def test_a_pending_pattern_goes_to_every_node_when_slots_move(cluster: MemoryCluster) -> None:
    key = cluster.key_at(B)
    put(cluster, key)
    cluster.fail(B)
    done = cluster.run(invalidate((), (), ("key*",), cluster.env))
    assert (done.removed, done.pending) == (0, 1)
    cluster.move(key, C)
    cluster.nodes.adopt(cluster.slots)
    assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None)
    assert not is_there(cluster, key)


def test_a_pending_pattern_does_not_multiply_with_each_move(cluster: MemoryCluster) -> None:
    cluster.fail(B)
    cluster.run(invalidate((cluster.key_at(B),), (), ("key*",), cluster.env))
    counts = []
    for number in range(4):
        cluster.move(cluster.key_at(A, number), C)
        cluster.nodes.adopt(cluster.slots)
        counts.append(cluster.env.health.pending_count)
    assert counts == [counts[0]] * 4


def test_a_replay_that_finds_the_slots_moved_begins_anew_where_they_are(
    cluster: MemoryCluster,
) -> None:
    key = cluster.key_at(B)
    put(cluster, key)
    cluster.fail(B)
    cluster.run(invalidate((), (), ("key*",), cluster.env))
    cluster.down.clear()
    cluster.now_ms += 600
    cluster.move(key, C)  # nobody has told yet; the search for the pattern asks
    assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None)
    assert not is_there(cluster, key)


def test_while_slots_move_all_nodes_are_searched_twice(cluster: MemoryCluster) -> None:
    key = cluster.key_at(C)
    put(cluster, key)
    cluster.moving = [True] * 4

    def moves(node: str, op: Any) -> None:
        # To the node that has been searched already, from the one that is searched next.
        if node == C and isinstance(op, Scan) and cluster.owner(key) == C:
            cluster.move(key, A)

    cluster.before = moves
    done = cluster.run(invalidate((), (), ("key*",), cluster.env))
    assert done.pending == 0
    assert not is_there(cluster, key)


def test_a_node_without_slots_goes_and_leaves_what_it_was_owed(cluster: MemoryCluster) -> None:
    key = cluster.key_at(B)
    put(cluster, key)
    cluster.fail(B)
    cluster.run(invalidate((key,), (), (), cluster.env))
    assert B in cluster.nodes.names
    cluster.stores[A]._cells.update(cluster.stores[B]._cells)
    cluster.slots = tuple([A if node == B else node for node in cluster.slots])
    cluster.nodes.adopt(cluster.slots)
    assert cluster.nodes.names == (A, C)
    assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None)
    assert cluster.env.health.is_available


def test_too_many_deletions_for_one_node_stop_its_reads_until_all_is_cleared(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MOST_PENDING", 2)
    here, there = cluster.key_at(A), cluster.key_at(B)
    for number in range(3):
        keep_pending(PendingDeletion((cluster.key_at(B, number),)), cluster.env)
    with pytest.raises(BackendUnavailable) as raised:
        cluster.run(ask(Look(there), cluster.env))
    assert raised.value.code == "DC206"
    assert cluster.run(ask(Look(here), cluster.env)) == RawRead(None)
    cluster.move(cluster.key_at(B, 5), A)
    cluster.nodes.adopt(cluster.slots)
    with pytest.raises(BackendUnavailable):
        cluster.run(ask(Look(here), cluster.env))
    assert cluster.run(clear(cluster.env)).pending == 0
    assert cluster.run(ask(Look(there), cluster.env)) == RawRead(None)


def test_a_deletion_that_is_kept_while_slots_move_is_kept_for_both() -> None:
    nodes = Nodes(Health())
    nodes.adopt((A,) * 16_384)

    class Moving(tuple[str, ...]):
        """Slots that are replaced while a deletion is kept."""

        __slots__ = ()

        def __getitem__(self, at: Any) -> Any:
            nodes.slots = (B,) * 16_384
            return A

    nodes.slots = Moving()
    env, _ = surroundings(nodes=nodes)
    assert nodes.keep(PendingDeletion(("k",))) == 0
    assert nodes.env_at(A, env).health.pending
    assert nodes.env_at(B, env).health.pending


def test_before_the_topology_is_known_all_keys_have_one_node() -> None:
    nodes = Nodes(Health())
    assert nodes.node_of("k") == UNKNOWN_NODE
    assert nodes.parts_of(PendingDeletion(("k",), ("x*",))) == {
        UNKNOWN_NODE: PendingDeletion(("k",), ("x*",))
    }
    assert nodes.is_well(UNKNOWN_NODE)


def test_a_cluster_that_is_not_found_is_no_node_that_is_down() -> None:
    env, events = surroundings()
    env.nodes = Nodes(env.health)
    unreachable = BackendUnavailable("no node", code="DC325")
    (at,) = split(Look("k"), env.nodes.node_of).parts
    script(ask(Look("k"), env), (at, unreachable)).raises(BackendUnavailable)
    assert [event.node for event in events if isinstance(event, BackendDown)] == [""]


def test_a_topology_that_never_rests_is_given_up(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = cluster.key_at(A)

    def moves_on(_op: Any, _node_of: Any) -> Any:
        cluster.nodes.slots = (*cluster.nodes.slots,)
        return split(_op, _node_of)

    monkeypatch.setattr("dualcache.engine.apart.split", moves_on)
    with pytest.raises(BackendUnavailable) as raised:
        cluster.run(ask(Look(key), cluster.env))
    assert raised.value.code == "DC329"


def test_a_hold_is_put_back_though_its_copy_lies_elsewhere(cluster: MemoryCluster) -> None:
    env = cluster.env
    key = next(
        key
        for key in map("key-{}".format, range(99))
        if cluster.owner(key) != cluster.owner(f"~h:{key}")
    )
    cluster.run(invalidate((key,), (), (), env, hold_ms=5_000))
    assert is_there(cluster, key)
    cluster.run(invalidate((key,), (), (), env))
    assert is_there(cluster, key), "another deletion leaves the hold"
    cluster.fail(cluster.owner(f"~h:{key}"))
    done = cluster.run(invalidate((key,), (), (), env))
    assert done.pending == 0, "a hold whose copy cannot be read is lost, and nobody waits for it"
    assert cluster.run(ask(Look(key), env)).raw is None
    assert cluster.run(invalidate((key,), (), (), env, hold_ms=5_000)).pending == 0
    assert is_there(cluster, key)
    cluster.run(invalidate((key,), (), (), env))


def test_a_hold_whose_copy_fails_when_it_is_looked_at_is_lost(cluster: MemoryCluster) -> None:
    names = [f"key-{n}" for n in range(99)]
    lost, kept = [
        next(name for name in names if cluster.owner(f"~h:{name}") == node) for node in (B, C)
    ]
    cluster.run(invalidate((lost, kept), (), (), cluster.env, hold_ms=5_000))

    def fails(node: str, op: Any) -> None:
        if node == B and isinstance(op, Look) and op.key.startswith("~h:"):
            raise BackendUnavailable("down", code="DC200")

    cluster.before = fails
    assert cluster.run(invalidate((lost, kept), (), (), cluster.env)).pending == 0
    held = [cluster.stores[cluster.owner(key)].perform(Look(key)).raw for key in (lost, kept)]
    assert [each is not None for each in held] == [False, True]


def test_keys_are_listed_node_by_node(cluster: MemoryCluster) -> None:
    for number, node in enumerate(NAMES):
        key = cluster.key_at(node, number)
        cluster.stores[node].perform(Claim(key, stored("v", key=key), 60_000))
    cursor, found = 0, []
    while True:
        page = cluster.run(list_names(cursor, "*", cluster.env))
        found += page.names
        cursor = page.cursor
        if not cursor:
            break
    assert sorted(found) == sorted(cluster.key_at(node, n) for n, node in enumerate(NAMES))
    assert cluster.run(list_names(65_536 * 7 + 9, "*", cluster.env)).cursor == 0


def test_a_page_of_one_node_goes_on_there(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[tuple[str, int]] = []
    pages = iter([7, 0, 0, 0])

    def scan(node: str, op: Any) -> None:
        if isinstance(op, Scan):
            scanned.append((node, op.cursor))

    cluster.before = scan
    for store in cluster.stores.values():
        monkeypatch.setattr(store, "perform", lambda _: ScanPage(next(pages), ()))
    cursor = cluster.run(list_names(0, "*", cluster.env)).cursor
    while cursor:
        cursor = cluster.run(list_names(cursor, "*", cluster.env)).cursor
    assert scanned == [(A, 0), (A, 7), (B, 0), (C, 0)]


def test_a_server_that_lists_no_keys_is_told_once(cluster: MemoryCluster) -> None:
    key = cluster.key_at(A)
    refusal = refused("NOPERM")
    refusal.is_lacking = True

    def lists_nothing(_: str, op: Any) -> None:
        if isinstance(op, Scan):
            raise refusal

    cluster.before = lists_nothing
    for _ in range(2):
        assert cluster.run(invalidate((key,), (), ("x*",), cluster.env)).pending == 1
    assert [type(event) for event in cluster.events].count(ScansRefused) == 1
    assert cluster.run(ask(Look(key), cluster.env)) == RawRead(None), "reads go on"
    cluster.before = lambda _node, _op: None
    assert cluster.run(invalidate((key,), (), (), cluster.env)).pending == 0
    assert not cluster.env.health.refused
    cluster.before = lists_nothing
    cluster.run(invalidate((), (), ("x*",), cluster.env))
    cluster.before = lambda _node, _op: None
    for node in NAMES:
        cluster.fail(node)
    assert cluster.run(invalidate((key,), (), (), cluster.env)).pending == 1


def test_entries_of_one_function_are_deleted_at_every_node(cluster: MemoryCluster) -> None:
    deletion = PendingDeletion((), (), (Owned(b"owner---", "key-*"),))
    assert set(cluster.nodes.parts_of(deletion)) == set(NAMES)


def test_variants_whose_node_is_down_are_deleted_later(cluster: MemoryCluster) -> None:
    owner, env = b"owner-01", cluster.env
    keys = [name for name in map("key-{}".format, range(99)) if cluster.owner(name) == A]
    there, other = [
        next(name for name in keys if cluster.owner(f"~b:{name}") == node) for node in (B, C)
    ]

    def fill() -> None:
        for key in (there, other):
            blob = stored("v", key=key, owner=owner)
            cluster.stores[A].perform(Claim(key, blob, 60_000))
            put(cluster, f"~b:{key}")

    fill()
    cluster.fail(B)
    assert cluster.run(clear_function(owner, "key-*", env)).pending == 1
    left = [is_there(cluster, name) for name in (there, f"~b:{there}", other, f"~b:{other}")]
    assert left == [False, True, False, False]
    assert cluster.run(ask(Look(there), env)).raw is None, "the other nodes are read"
    cluster.down.clear()
    cluster.now_ms += 2_100
    cluster.run(ask(Look(cluster.key_at(B)), env))
    assert not is_there(cluster, f"~b:{there}")
    fill()
    assert cluster.run(clear_function(owner, "key-*", env)).pending == 0


def test_a_search_that_cannot_begin_is_kept(cluster: MemoryCluster) -> None:
    for node in NAMES:
        cluster.fail(node)
    done = cluster.run(invalidate((), (), ("key*",), cluster.env))
    assert done.pending == 1
    assert isinstance(done, Invalidated)


def test_a_ping_asks_every_node(cluster: MemoryCluster) -> None:
    assert cluster.run(ping_server(cluster.env)) is True
    assert [(node, type(op)) for node, op in cluster.asked] == [(node, Ping) for node in NAMES]
    cluster.fail(C)
    assert cluster.run(ping_server(cluster.env)) is False


def test_a_refusal_by_one_node_leaves_the_others_out(cluster: MemoryCluster) -> None:
    cluster.fail(B, refused("CLUSTERDOWN"))
    with pytest.raises(BackendRefused):
        cluster.run(attempt_once(ReadTags((cluster.key_at(B),)), cluster.env))
    assert cluster.run(attempt_once(ReadTags((cluster.key_at(A),)), cluster.env)) == (None,)


def test_a_deletion_in_many_trips_lets_others_run(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualcache.engine.pipelines.MOST_AT_ONCE", 2)
    keys = [f"key-{n}" for n in range(5)]
    put(cluster, *keys)
    assert cluster.run(invalidate(keys, (), (), cluster.env)).removed == 5


def test_what_is_deleted_is_asked_of_each_node_in_one_trip(cluster: MemoryCluster) -> None:
    keys = [cluster.key_at(node, n) for node in NAMES for n in range(3)]
    cluster.run(invalidate((), keys, (), cluster.env))
    deletions = [op for _, op in cluster.asked if isinstance(op, Batch)]
    assert [type(each) for op in deletions for each in op.ops].count(Delete) == 9
