"""Holds as conversations, and every order in which one meets a plain invalidation."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.memory import MemoryStore
from dualcache.core.entry import Kind
from dualcache.core.envelope import kind_of, seal_tombstone
from dualcache.core.events import Invalidated, StoresStopped
from dualcache.core.flight import CloseFlights, Load
from dualcache.core.ops import (
    Batch,
    Claim,
    Delete,
    GiveWay,
    Loaded,
    Look,
    RawRead,
    ReadTags,
)
from dualcache.core.revocation import Revocation
from dualcache.core.scans import Scan, ScanPage, Unlink
from dualcache.engine import attempts
from dualcache.engine.invalidation import invalidate
from dualcache.engine.load import refresh
from dualcache.engine.pipelines import one_trip
from dualcache.engine.recovery import restore
from dualcache.errors import BackendRefused
from tests.engine.conversation import (
    KEY,
    NOW_MS,
    call,
    refused,
    script,
    surroundings,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

HOLD, BASE = f"~h:{KEY}", f"~b:{KEY}"
NAMES = (KEY, BASE)
DELETED = Batch((Delete(NAMES), ReadTags((HOLD,))))
CLOSED = (CloseFlights(NAMES), None)
NOT_HELD, HELD = (1, (None,)), (1, (b"a hold",))


def tombstone(number: int = 1, key: str = KEY) -> bytes:
    return seal_tombstone(key, token=token(number), created_ms=NOW_MS)


def put(life_ms: int, first: int = 1) -> Batch:
    """Return the trip that puts a hold."""
    copy, held = tombstone(first), tombstone(first + 1)
    return Batch((Claim(HOLD, copy, life_ms), Claim(KEY, held, life_ms)))


PUT = (RawRead(b""), RawRead(b""))


def holds(env: Env, hold_ms: int = 5_000) -> Flow[Invalidated]:
    return invalidate((KEY,), (), (), env, hold_ms=hold_ms)


def plainly(env: Env) -> Flow[Invalidated]:
    return invalidate((KEY,), (), (), env)


def test_a_hold_is_put_after_the_deletion_with_its_copy_first() -> None:
    env, _ = surroundings()
    script(holds(env), (DELETED, NOT_HELD), (put(5_000), PUT), CLOSED).returns(
        Invalidated(keys=1, removed=1)
    )


def test_a_plain_invalidation_puts_the_hold_back_for_the_time_that_it_has_left() -> None:
    env, _ = surroundings()
    script(
        plainly(env),
        (DELETED, HELD),
        (Look(HOLD, (), with_ttl=True), RawRead(tombstone(9), (), 3_000)),
        (put(3_000), PUT),
        CLOSED,
    ).returns(Invalidated(keys=1, removed=1))


@pytest.mark.parametrize(("hold_ms", "life_ms"), [(1_000, 3_000), (9_000, 9_000)])
def test_the_longer_of_two_holds_counts(hold_ms: int, life_ms: int) -> None:
    env, _ = surroundings()
    script(
        holds(env, hold_ms),
        (DELETED, HELD),
        (Look(HOLD, (), with_ttl=True), RawRead(tombstone(9), (), 3_000)),
        (put(life_ms), PUT),
        CLOSED,
    ).returns(Invalidated(keys=1, removed=1))


@pytest.mark.parametrize(
    "found", [RawRead(None), RawRead(tombstone(9), (), None), RawRead(b"foreign", (), 5)]
)
def test_what_is_no_hold_any_more_is_not_put_back(found: RawRead) -> None:
    env, _ = surroundings()
    script(plainly(env), (DELETED, HELD), (Look, found), CLOSED).returns(
        Invalidated(keys=1, removed=1)
    )


def test_others_are_told_again_since_something_may_have_been_stored_in_between() -> None:
    env, _ = surroundings(channel="~c")
    told, notice = Revocation("~c", NAMES), Revocation("~c", (KEY,))
    copy = Claim(HOLD, tombstone(1), 5_000)
    held = Claim(KEY, tombstone(2), 5_000, (), notice)
    script(
        holds(env),
        (Batch((Delete(NAMES, told), ReadTags((HOLD,)))), NOT_HELD),
        (Batch((copy, held)), PUT),
        CLOSED,
    ).returns(Invalidated(keys=1, removed=1))


@pytest.mark.parametrize(
    "reply", [(RawRead(None, refusal="OOM"),) * 2, BackendRefused("full", code="DC000")]
)
def test_a_full_server_takes_the_deletion_and_no_hold(reply: Any) -> None:
    env, events = surroundings()
    if isinstance(reply, BackendRefused):
        reply.prefix = "OOM"
    done = Invalidated(keys=1, removed=1)
    script(holds(env), (DELETED, NOT_HELD), (Batch, reply), CLOSED).returns(done)
    assert [type(event) for event in events] == [StoresStopped, Invalidated]


def test_a_hold_that_is_refused_for_another_reason_is_pending() -> None:
    env, _ = surroundings()
    error = BackendRefused("no", code="DC000")
    script(holds(env), (DELETED, NOT_HELD), (Batch, error), CLOSED).returns(
        Invalidated(keys=1, pending=1)
    )


@pytest.mark.parametrize(("passed_ms", "life_ms"), [(2_000, 3_000), (5_000, 0)])
def test_a_pending_hold_is_delivered_with_the_rest_of_its_time(
    passed_ms: int, life_ms: int
) -> None:
    times = [0]
    env, _ = surroundings(elapsed_ms=lambda: times[0])
    script(holds(env), (DELETED, refused()), CLOSED).returns(Invalidated(keys=1, pending=1))
    times[0] = passed_ms
    opening = ((DELETED, NOT_HELD),)
    script(restore(env), *opening, *([(put(life_ms), PUT)] if life_ms else [])).returns(None)
    assert not env.health.pending


def test_a_pattern_spares_holds_and_puts_back_what_it_deleted() -> None:
    env, _ = surroundings(prefix="shop:")
    page = (b"shop:k", b"shop:~h:k", b"shop:~h:other", b"shop:kk")
    copy = Claim("shop:~h:k", tombstone(1, "shop:k"), 3_000)
    held = Claim("shop:k", tombstone(2, "shop:k"), 3_000)
    script(
        invalidate((), (), ("*k",), env),
        (Scan, ScanPage(0, page)),
        (Unlink((b"shop:k", b"shop:kk")), 2),
        (Look("shop:~h:k", (), with_ttl=True), RawRead(tombstone(9), (), 3_000)),
        (Batch((copy, held)), PUT),
        (CloseFlights(None), None),
    ).returns(Invalidated(patterns=1, removed=2))


def test_a_whole_namespace_is_deleted_with_its_holds() -> None:
    env, _ = surroundings(prefix="shop:")
    script(
        invalidate((), (), ("*",), env),
        (Scan, ScanPage(0, (b"shop:k", b"shop:~h:k"))),
        (Unlink((b"shop:k", b"shop:~h:k")), 2),
        (CloseFlights(None), None),
    ).returns(Invalidated(patterns=1, removed=2))


def test_tags_are_deleted_without_a_look_at_holds() -> None:
    env, _ = surroundings()
    script(
        invalidate((), ("~t:a",), (), env), (Delete(("~t:a",)), 1), (CloseFlights, None)
    ).returns(Invalidated(tags=1, removed=1))


def test_a_refresh_under_a_hold_loads_and_stores_nothing() -> None:
    env, _ = surroundings()
    outcome = script(
        refresh(call(), env),
        (Look, RawRead(tombstone(), (), 5_000)),
        (Load, Loaded("new", 5.0)),
    ).ends()
    assert outcome.value == "new"


# Every order, command by command


def singly(flow: Flow[Any], perform: Callable[[Any], Any]) -> Iterator[None]:
    """Run a flow, one command at each step."""
    reply: Any = None
    while True:
        try:
            op = flow.send(reply)
        except StopIteration:
            return
        if type(op) in {CloseFlights, GiveWay}:
            reply = None
            continue
        ops = op.ops if type(op) is Batch else (op,)
        replies = []
        for each in ops:
            yield
            replies.append(perform(each))
        reply = tuple(replies) if type(op) is Batch else replies[0]


def kinds_after_every_order(*flows: Callable[[Env], Flow[Any]]) -> set[Kind | None]:
    """Return what may lie under the key when all have ended, in whatever order they went on."""
    found: set[Kind | None] = set()
    paths: list[tuple[int, ...]] = [()]
    while paths:
        path = paths.pop()
        store, numbers = MemoryStore(lambda: 0.0), count(1)
        env, _ = surroundings(draw_token=lambda: token(next(numbers)))  # noqa: B023
        running = {at: singly(flow(env), store.perform) for at, flow in enumerate(flows)}
        for each in [*running.values()]:
            next(each)
        for at in path:
            if next(running[at], "ended") == "ended":
                del running[at]
        if not running:
            found.add(kind_of(store._read(KEY) or b""))
        paths += [(*path, at) for at in running]
        for each in running.values():  # a flow is never closed half-way
            for _ in each:
                pass
    return found


def test_a_plain_invalidation_never_ends_a_hold_in_whatever_order_they_meet() -> None:
    assert kinds_after_every_order(holds, plainly) == {Kind.TOMBSTONE}


def test_without_the_copy_first_a_plain_invalidation_could_end_a_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reversed_claims(ops: Any) -> Any:
        is_put = len(ops) > 1 and type(ops[0]) is Claim
        return one_trip([*reversed(ops)] if is_put else ops)

    monkeypatch.setattr(attempts, "one_trip", reversed_claims)
    assert None in kinds_after_every_order(holds, plainly)
