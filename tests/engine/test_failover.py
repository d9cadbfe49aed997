"""What a master acknowledged in its last moments is repeated at the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.events import MasterChanged, PendingOverflowed, Replayed
from dualcache.core.flight import CloseFlights
from dualcache.core.ops import Delete, Look, RawRead, ReadTags
from dualcache.engine import acknowledged as kept
from dualcache.engine import health
from dualcache.engine.acknowledged import Acknowledged, merged
from dualcache.engine.failover import deliver_to_master, master_changed
from dualcache.engine.health import Health, Owned, PendingDeletion
from dualcache.engine.invalidation import invalidate
from dualcache.engine.load import get_or_load
from dualcache.engine.recovery import ask, ask_once, keep_pending
from dualcache.engine.serve import NOT_SERVED, first_look, serve
from dualcache.errors import BackendUnavailable
from tests.engine.conversation import call, cut, script, stored, surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.events import Event
    from dualcache.engine.env import Env

LOOK = Look("k")
OLD, NEW = RawRead(b"old"), RawRead(b"new")
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


def changes(env: Env, reply: Any) -> Callable[[object], Any]:
    """Return the reply of a new master that nobody has told yet what is to be repeated there."""

    def replied(_: object) -> Any:
        master_changed(env)
        return reply

    return replied


def test_a_reply_that_the_new_master_gave_before_the_repetition_does_not_count() -> None:
    env, events = watched()
    script(deliver_to_master(A, env), (Delete(A.keys), 1)).returns(1)
    script(ask(LOOK, env), (LOOK, changes(env, OLD)), (Delete(A.keys), 1), (LOOK, NEW)).returns(NEW)
    assert events == [MasterChanged(repeated=1), Replayed(delivered=1)]


def test_nor_does_it_where_another_thread_has_repeated_it_meanwhile() -> None:
    env, _ = watched()
    script(deliver_to_master(A, env), (Delete(A.keys), 1)).returns(1)

    def replied_and_repeated(op: object) -> RawRead:
        changes(env, None)(op)
        script(ask(LOOK, env), (Delete(A.keys), 1), (LOOK, NOTHING)).returns(NOTHING)
        return OLD

    script(ask(LOOK, env), (LOOK, replied_and_repeated), (LOOK, NEW)).returns(NEW)
    assert env.health.is_clear


def test_what_is_to_be_repeated_is_pending_before_the_change_counts() -> None:
    found: list[bool] = []

    class Counted(Health):
        """Notes at each change whether a flow that begins now would find the deletion."""

        __slots__ = ()

        @property
        def masters(self) -> int:
            return len(found)

        @masters.setter
        def masters(self, number: int) -> None:
            if number:
                found.append(bool(self.pending) and not self.is_clear)

    env, _ = watched()
    env.health = Counted()
    script(deliver_to_master(A, env), (Delete(A.keys), 1)).returns(1)
    master_changed(env)
    assert found == [True]


def test_a_second_change_of_master_is_an_error() -> None:
    env, _ = watched()
    replies = (LOOK, changes(env, OLD)), (LOOK, changes(env, OLD))
    script(ask(LOOK, env), *replies).raises(BackendUnavailable)
    env, _ = watched()
    script(ask(LOOK, env), (LOOK, cut()), (LOOK, changes(env, OLD))).raises(BackendUnavailable)


def test_a_first_look_that_the_new_master_answered_is_looked_at_again() -> None:
    env, _ = watched()
    asked = call()
    script(deliver_to_master(A, env), (Delete(A.keys), 1)).returns(1)
    first = first_look(asked, env)
    assert first is not None
    master_changed(env)
    assert serve(asked, first, RawRead(stored("old")), env) is NOT_SERVED
    outcome = script(
        get_or_load(asked, env, first), (Delete(A.keys), 1), (first.op, RawRead(stored("new")))
    ).ends()
    assert outcome.value == "new"


def test_what_is_sent_once_is_an_error_at_another_master() -> None:
    env, _ = watched()
    op = ReadTags(("~t:a",))
    with pytest.raises(BackendUnavailable) as caught:
        script(ask_once(op, env), (op, changes(env, (b"old",)))).ends()
    assert (caught.value.code, caught.value.was_connected) == ("DC324", True)


def test_a_failure_after_a_change_of_master_is_no_news_of_the_new_one() -> None:
    env, events = watched()
    threads = [ask(LOOK, env) for _ in range(5)]
    assert [next(each) for each in threads] == [LOOK] * 5
    master_changed(env)
    assert [each.send(OLD) for each in threads] == [LOOK] * 5
    assert env.health.breaker.is_closed
    assert events == [MasterChanged(repeated=0)]


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
