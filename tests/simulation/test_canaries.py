"""Each rule taken out, one at a time: the search must find what goes wrong without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.codecs.envelope import seal_filling
from dualcache.core.ops import (
    Claim,
    Commit,
    CommitReply,
    Join,
    MakeTags,
    NewTag,
)
from dualcache.drivers import memory
from dualcache.drivers.flights import FlightTable
from dualcache.engine import commit, invalidation, lead, recovery
from dualcache.engine.recovery import ask
from tests.simulation import flows, rules
from tests.simulation.explorer import explore
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, gets, loads
from tests.simulation.values import KEY, TAG, Value, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from dualcache.core.ops import Flow
    from tests.simulation.actor import Actor
    from tests.simulation.scenario import Scenario
    from tests.simulation.world import World

MOST_STATES = 150_000


def breaks(scenario: Scenario, what: str) -> None:
    """Fail unless some schedule breaks a rule, as `what` says, and can be read as a story."""
    found = explore(scenario, MOST_STATES)
    assert what in found.violation, f"not found in {found.states} states"
    assert found.story.endswith(f"broken      {found.violation}")


def test_without_the_compare_a_load_overwrites_an_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unfenced(store: memory.MemoryStore, op: Commit) -> CommitReply:
        store._put(op.key, op.blob, op.ttl_ms)
        return CommitReply.STORED

    performers: dict[Any, Any] = {**memory.PERFORMERS, Commit: unfenced}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    breaks(cast({"A.r1": loads()}, {"B.w1": deletes_key}), "had been revoked")


def test_a_token_that_is_sent_again_comes_back_after_the_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def same_filling(call: Any, *_: Any) -> bytes:
        return seal_filling(call.key, token=b"the same", created_ms=0, load_ms=0)

    monkeypatch.setattr(commit, "new_filling", same_filling)
    breaks(
        cast({"A.r1": loads()}, {"B.w1": deletes_key}, troubles=frozenset({"cut"}), faults=1),
        "had been revoked",
    )


def test_a_tag_id_that_is_sent_again_revives_its_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    def same_ids(names: Any, life_ms: Any, _: Any) -> tuple[NewTag, ...]:
        return tuple(NewTag(name, b"the same", life_ms) for name in names)

    monkeypatch.setattr(commit, "new_tags", same_ids)
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

    monkeypatch.setattr(commit, "new_tags", first_ids)
    monkeypatch.setattr(rules, "watch", lambda *_: None)
    reader = loads((TAG,))
    breaks(cast({"A.r1": reader, "B.r2": reader}, {"B.w1": deletes_tag}), "acknowledged")


def test_a_tag_of_the_result_must_not_be_read_after_the_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = lead.store

    def late(call: Any, start: Any, result: Any, ids: Any, tick: int, env: Any) -> Flow[Any]:
        (found,) = yield from ask(MakeTags((NewTag(TAG, env.draw_token(), None),)), env)
        return (yield from store(call, start, result, {**ids, TAG: found}, tick, env))

    monkeypatch.setattr(lead, "store", late)
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
        blob = env.seal(
            KEY,
            pack(KEY, value),
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


def test_without_the_replay_a_deletion_that_did_not_arrive_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forgets(env: Any) -> Iterator[Any]:
        env.health.owed.clear()
        env.health.settle()
        yield from ()

    monkeypatch.setattr(recovery, "replay", forgets)
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
