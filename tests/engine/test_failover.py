"""What a master acknowledged in its last moments is repeated at the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualcache.core.events import MasterChanged, PendingOverflowed, Replayed
from dualcache.core.flight import CloseFlights
from dualcache.core.ops import Delete, Look, RawRead
from dualcache.engine import acknowledged as kept
from dualcache.engine import health
from dualcache.engine.acknowledged import Acknowledged, merged
from dualcache.engine.failover import deliver_to_master, master_changed
from dualcache.engine.health import Owned, PendingDeletion
from dualcache.engine.invalidation import invalidate
from dualcache.engine.recovery import ask, keep_pending
from tests.engine.conversation import script, surroundings

if TYPE_CHECKING:
    from dualcache.core.events import Event
    from dualcache.engine.env import Env

A, B, C = (PendingDeletion((f"~t:{name}",)) for name in "abc")
NOTHING = RawRead(None)


def watched(max_staleness: float = 5.0) -> tuple[Env, list[Event]]:
    env, events = surroundings()
    env.acknowledged = Acknowledged(max_staleness)
    return env, events


def test_what_was_acknowledged_lately_is_repeated_before_the_new_master_is_read() -> None:
    env, events = watched()
    script(deliver_to_master(A, env), (Delete(A.keys), 1)).returns(1)
    script(deliver_to_master(B, env), (Delete(B.keys), 0)).returns(0)
    master_changed(env)
    assert not env.health.is_clear
    look = Look("a")
    script(ask(look, env), (Delete((*A.keys, *B.keys)), 2), (look, NOTHING)).returns(NOTHING)
    assert events == [MasterChanged(repeated=2), Replayed(delivered=1)]


def test_nothing_is_repeated_where_nothing_was_deleted() -> None:
    env, events = watched()
    master_changed(env)
    assert env.health.is_clear
    assert events == [MasterChanged(repeated=0)]


def test_what_a_demoted_master_took_is_delivered_to_the_next_one() -> None:
    env, _ = watched()
    flow = deliver_to_master(A, env)
    assert next(flow) == Delete(A.keys)
    master_changed(env)
    assert flow.send(1) == Delete(A.keys)
    with pytest.raises(StopIteration) as ended:
        flow.send(0)
    assert ended.value.value == 0


def test_an_invalidation_that_finds_no_lasting_master_is_pending() -> None:
    env, _ = watched()
    flow = invalidate((), A.keys, (), env)
    assert next(flow) == Delete(A.keys)
    master_changed(env)
    assert flow.send(1) == Delete(A.keys)
    master_changed(env)
    assert isinstance(flow.send(1), CloseFlights)
    with pytest.raises(StopIteration) as ended:
        flow.send(None)
    assert (ended.value.value.tags, ended.value.value.pending) == (1, 1)
    assert A in env.health.pending.values()


def test_only_the_last_moments_count() -> None:
    known = Acknowledged(max_staleness=1.0)
    assert known.note(A, 0, 0)
    assert known.note(B, 0, 1_000)
    assert known.note(C, 0, 2_500)
    assert known.changed(60_000) == [B, C]
    assert known.changed(60_000) == []


def test_nothing_is_repeated_that_is_long_ago() -> None:
    known = Acknowledged(max_staleness=1.0)
    known.note(A, 0, 0)
    assert known.changed(kept.OLDEST_MS + 1) == []


def test_a_deletion_of_an_earlier_master_says_so() -> None:
    known = Acknowledged(max_staleness=1.0)
    known.changed(0)
    assert not known.note(A, 0, 10)
    assert known.note(B, 1, 10)


def test_deletions_are_repeated_together_each_name_once() -> None:
    owned = Owned(b"f", "f:*")
    both = merged(
        [
            PendingDeletion(("a", "b"), ("x*",), (owned,), held=("a",), hold_ends_ms=9),
            PendingDeletion(("b", "c"), ("x*", "y*"), (owned,)),
        ]
    )
    assert both == PendingDeletion(("a", "b", "c"), ("x*", "y*"), (owned,))


def test_more_than_the_queue_holds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOST_PENDING", 1)
    env, events = watched()
    script(deliver_to_master(A, env), (Delete(A.keys), 1)).returns(1)
    keep_pending(B, env)
    master_changed(env)
    assert events == [PendingOverflowed(dropped=2), MasterChanged(repeated=1)]


def test_one_server_alone_has_nothing_to_repeat() -> None:
    env, _ = surroundings()
    script(deliver_to_master(A, env), (Delete(A.keys), 1)).returns(1)
    with pytest.raises(AssertionError):
        master_changed(env)
