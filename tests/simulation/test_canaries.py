"""Each rule taken out, one at a time: the search must find what goes wrong without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dualcache.backends import memory
from dualcache.core.entry import Kind
from dualcache.core.envelope import open_envelope, seal, seal_filling
from dualcache.core.ops import (
    Claim,
    Commit,
    CommitReply,
    Delete,
    LookAndLease,
    MakeTags,
    NewTag,
    Ping,
    ReadTags,
    TryLease,
)
from dualcache.drivers.flights import FlightTable
from dualcache.engine import invalidation, lead, leases, recovery
from dualcache.engine.recovery import ask
from dualcache.errors import BackendError
from tests.simulation import commands, flows, rules, steps
from tests.simulation.explorer import explore
from tests.simulation.scenarios import (
    cast,
    clears_function,
    deletes_key,
    deletes_tag,
    gets,
    loads,
)
from tests.simulation.searching import breaks
from tests.simulation.values import KEY, OWNER, TAG, Value, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from dualcache.core.flight import Join
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env
    from tests.simulation.actor import Actor
    from tests.simulation.world import World


def unfenced(store: memory.MemoryStore, op: Commit) -> CommitReply:
    store._put(op.key, op.blob, op.ttl_ms)
    return CommitReply.STORED


def test_without_the_compare_a_load_overwrites_an_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    performers: dict[Any, Any] = {**memory.PERFORMERS, Commit: unfenced}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    breaks(cast({"A.r1": loads()}, {"B.w1": deletes_key}), "had been revoked")


def test_a_token_that_is_sent_again_comes_back_after_the_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def same_filling(call: Any, *_: Any) -> bytes:
        return seal_filling(call.key, token=b"the same", created_ms=0, load_ms=0)

    monkeypatch.setattr(leases, "new_filling", same_filling)
    breaks(
        cast({"A.r1": loads()}, {"B.w1": deletes_key}, troubles=frozenset({"cut"}), faults=1),
        "had been revoked",
    )


def test_a_tag_id_that_is_sent_again_revives_its_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    def same_ids(names: Any, life_ms: Any, _: Any) -> tuple[NewTag, ...]:
        return tuple(NewTag(name, b"the same", life_ms) for name in names)

    monkeypatch.setattr(leases, "new_tags", same_ids)
    breaks(
        cast(
            {"A.r1": loads((TAG,))},
            {"B.w1": deletes_tag},
            troubles=frozenset({"cut"}),
            faults=1,
        ),
        "with an id that was dead",
    )


def test_tag_ids_that_count_from_one_after_an_eviction_revive_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def first_ids(names: Any, life_ms: Any, _: Any) -> tuple[NewTag, ...]:
        return tuple(NewTag(name, b"number 1", life_ms) for name in names)

    monkeypatch.setattr(leases, "new_tags", first_ids)
    monkeypatch.setattr(rules, "watch", lambda *_: None)
    reader = loads((TAG,))
    breaks(cast({"A.r1": reader, "B.r2": reader}, {"B.w1": deletes_tag}), "acknowledged")


def test_a_tag_whose_creator_pauses_between_reading_and_making_it_misses_its_death(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = lead._store

    def only_read(tags: Any) -> Any:
        return tuple(command for tag in tags for command in (Ping(), ReadTags((tag.key,))))

    def made_late(
        call: Any, start: Any, result: Any, ids: Any, sequence: int, env: Env, lease: Any
    ) -> Flow[Any]:
        drawn = env.draw_token()
        if ids[TAG] is None and (yield from ask(TryLease(TAG, drawn, 10**9), env)):
            ids = {**ids, TAG: drawn}
        return (yield from store(call, start, result, ids, sequence, env, lease))

    monkeypatch.setattr(commands, "making", only_read)
    monkeypatch.setattr(lead, "_store", made_late)
    breaks(cast({"A.r1": loads((TAG,))}, {"B.w1": deletes_tag}), "acknowledged")


def test_an_invalidation_that_leaves_the_marker_of_a_load_lets_it_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of_values(store: memory.MemoryStore, op: Delete) -> int:
        raw = store._read(KEY)
        is_load = raw is not None and open_envelope(KEY, raw).kind is Kind.FILLING
        return store.delete(Delete(tuple(key for key in op.keys if key != KEY or not is_load)))

    performers: dict[Any, Any] = {**memory.PERFORMERS, Delete: of_values}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    breaks(cast({"A.r1": loads()}, {"B.w1": deletes_key}), "had been revoked")


def test_deciding_by_the_reply_of_the_set_is_covered_by_the_compare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The key may be deleted between the SET and the GET of a lease.

    Who goes by the SET then loads with a lease that is gone. His load began after the deletion, so
    it is no older than that; and the compare refuses it, as the key holds his marker no more. So no
    rule breaks; without the compare one does.
    """

    def by_the_set(op: Any, replies: Any, **options: Any) -> Any:
        reply = commands.reply_of(op, replies, **options)
        is_ours = isinstance(op, LookAndLease) and replies[0]
        return replace(reply, raw=op.filling) if is_ours else reply

    monkeypatch.setattr(steps, "reply_of", by_the_set)
    scenario = cast({"A.r1": loads(), "B.r2": loads()}, {"B.w1": deletes_key})
    found = explore(scenario)
    assert found.is_complete, found.story
    performers: dict[Any, Any] = {**memory.PERFORMERS, Commit: unfenced}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    breaks(scenario, "had been revoked")


def test_a_tag_of_the_result_must_not_be_read_after_the_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = lead._store

    def late(
        call: Any, start: Any, result: Any, ids: Any, sequence: int, env: Any, lease: Any
    ) -> Flow[Any]:
        (found,) = yield from ask(MakeTags((NewTag(TAG, env.draw_token(), None),)), env)
        return (yield from store(call, start, result, {**ids, TAG: found}, sequence, env, lease))

    monkeypatch.setattr(lead, "_store", late)
    reader = loads(tags_of=lambda *_: (TAG,))
    breaks(cast({"A.r1": reader}, {"B.w1": deletes_tag}), "acknowledged")


def test_without_the_closing_of_flights_a_shared_load_is_joined_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FlightTable, "close", lambda *_: None)
    reader = loads(ttl_ms=0)
    scenario = cast(
        {"A.r1": reader, "A.r2": reader},
        {"A.w1": deletes_key},
        troubles=frozenset({"cancel"}),
        faults=1,
    )
    breaks(scenario, "acknowledged")


def test_a_marker_that_does_not_tell_its_function_survives_the_clear_of_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new_filling = leases.new_filling

    def unowned(call: Any, *rest: Any) -> bytes:
        return new_filling(replace(call, policy=replace(call.policy, owner=b"")), *rest)

    monkeypatch.setattr(leases, "new_filling", unowned)
    breaks(cast({"A.r1": loads(owner=OWNER)}, {"B.w1": clears_function}), "acknowledged")


def test_without_the_age_of_a_flight_an_old_load_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    join = flows.join

    def ageless(world: World, actor: Actor, op: Join) -> Any:
        op.began = -1
        return join(world, actor, op)

    monkeypatch.setattr(flows, "join", ageless)
    reader = loads(is_cold=True)
    breaks(cast({"A.r1": reader, "A.r2": reader}, {"B.w1": deletes_key}), "acknowledged")


def test_a_plain_set_arrives_after_a_later_invalidation() -> None:
    def plain_set(world: World, actor: Actor) -> Flow[Any]:
        env = actor.process.env
        value = Value(world.version, actor.role.name)
        blob = seal(
            KEY,
            pack(value),
            version=env.draw_token(),
            created_ms=0,
            fresh_ms=None,
            load_ms=0,
        )
        try:
            yield from ask(Claim(KEY, blob, 60_000), env)
        except Exception:  # noqa: BLE001  whatever the backend's trouble is
            yield from invalidation.invalidate((KEY,), (), (), env)
        return True

    plain_set.__qualname__ = "sets plainly"
    breaks(
        cast(
            {"A.r1": gets()},
            {"A.w1": plain_set, "B.w2": deletes_key},
            troubles=frozenset({"timeout"}),
            faults=1,
        ),
        "acknowledged",
    )


def test_a_plain_addition_arrives_after_a_later_invalidation() -> None:
    def plain_add(world: World, actor: Actor) -> Flow[Any]:
        env = actor.process.env
        blob = seal(
            KEY,
            pack(Value(world.version, actor.role.name)),
            version=env.draw_token(),
            created_ms=0,
            fresh_ms=None,
            load_ms=0,
        )
        try:
            return (yield from ask(TryLease(KEY, blob, 60_000), env))
        except BackendError:
            return False

    plain_add.__qualname__ = "sets plainly where nothing is"
    breaks(
        cast(
            {"A.r1": gets()},
            {"A.w1": plain_add, "B.w2": deletes_key},
            troubles=frozenset({"timeout"}),
            faults=1,
        ),
        "acknowledged",
    )


def test_without_the_replay_a_deletion_that_did_not_arrive_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forgets(env: Any) -> Iterator[Any]:
        env.health.pending.clear()
        env.health.settle()
        yield from ()

    monkeypatch.setattr(recovery, "_replay", forgets)
    breaks(
        cast(
            {"A.r1": gets()},
            {"A.w1": deletes_key},
            is_stored=True,
            troubles=frozenset({"timeout"}),
            faults=1,
        ),
        "acknowledged",
    )
