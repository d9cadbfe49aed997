from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from dualcache.core.events import BackendDown, BackendUp, PendingOverflowed, Replayed, StoresStopped
from dualcache.core.ops import Delete, Look, Ping, RawRead
from dualcache.core.scans import Scan, ScanPage, Unlink
from dualcache.engine import health
from dualcache.engine.deletion import delete_matching
from dualcache.engine.health import Health, PendingDeletion
from dualcache.engine.outcomes import cause_of
from dualcache.engine.recovery import ask, ask_once, keep_pending
from dualcache.engine.upkeep import ping_server
from dualcache.errors import BackendRefused, BackendTimeout, BackendUnavailable
from tests.engine.conversation import KEY, cut, refused, script, slow, surroundings

if TYPE_CHECKING:
    from dualcache.core.events import Event
    from dualcache.errors import BackendError

LOOK = Look(KEY)
NOTHING = RawRead(None)


def test_an_op_is_sent_again_where_a_connection_that_had_worked_was_cut() -> None:
    env, _ = surroundings()
    script(ask(LOOK, env), (LOOK, cut()), (LOOK, NOTHING)).returns(NOTHING)


def test_what_became_pending_meanwhile_is_delivered_before_an_op_is_sent_again() -> None:
    env, events = surroundings()
    flow = ask(LOOK, env)
    assert next(flow) == LOOK
    keep_pending(PendingDeletion(("~t:a",)), env)
    assert flow.throw(cut()) == Delete(("~t:a",))
    assert flow.send(1) == LOOK
    with pytest.raises(StopIteration):
        flow.send(NOTHING)
    assert events == [Replayed(delivered=1)]


def test_an_op_that_must_not_be_sent_twice_is_not() -> None:
    env, _ = surroundings()
    script(ask_once(LOOK, env), (LOOK, cut())).raises(BackendUnavailable)


def test_an_op_whose_connection_is_refused_is_not_sent_again() -> None:
    env, _ = surroundings()
    script(ask(LOOK, env), (LOOK, refused())).raises(BackendUnavailable)


def test_a_refusal_opens_the_breaker_and_an_answer_after_the_pause_closes_it() -> None:
    now_ms = [0]
    env, events = surroundings(elapsed_ms=lambda: now_ms[0])
    script(ask(LOOK, env), (LOOK, refused())).raises(BackendUnavailable)
    script(ask(LOOK, env)).raises(BackendUnavailable)
    now_ms[0] = 500
    script(ask(LOOK, env), (LOOK, NOTHING)).returns(NOTHING)
    down = BackendDown(reason="DC201", cause="refused", retry_ms=500)
    assert events == [down, BackendUp()]
    assert env.health.is_clear


def test_one_slow_answer_opens_nothing_and_two_in_a_row_do() -> None:
    env, events = surroundings()
    script(ask(LOOK, env), (LOOK, slow())).raises(BackendTimeout)
    script(ask(LOOK, env), (LOOK, NOTHING)).returns(NOTHING)
    script(ask(LOOK, env), (LOOK, slow())).raises(BackendTimeout)
    assert events == []
    script(ask(LOOK, env), (LOOK, slow())).raises(BackendTimeout)
    assert [type(event) for event in events] == [BackendDown]


def test_pending_deletions_are_delivered_before_anything_else_is_asked() -> None:
    env, events = surroundings()
    keep_pending(PendingDeletion((KEY,)), env)
    script(ask(LOOK, env), (Delete((KEY,)), 1), (LOOK, NOTHING)).returns(NOTHING)
    assert events == [Replayed(delivered=1)]
    assert env.health.is_clear


def test_a_deletion_that_could_not_be_delivered_stays_pending() -> None:
    env, _ = surroundings()
    keep_pending(PendingDeletion((KEY,)), env)
    script(ask_once(LOOK, env), (Delete((KEY,)), slow())).raises(BackendTimeout)
    assert list(env.health.pending.values()) == [PendingDeletion((KEY,))]
    assert not env.health.is_clear


def test_a_deletion_that_is_pending_while_another_thread_settles_is_not_overlooked() -> None:
    env, _ = surroundings()

    class Interrupted(Health):
        """Health whose owed deletions are looked at while another thread keeps one."""

        __slots__ = ()

    health = env.health = Interrupted()

    class Watched(dict[int, PendingDeletion]):
        def __bool__(self) -> bool:
            is_any = len(self) > 0
            if not is_any:
                health.pending = dict(self)
                health.keep(PendingDeletion((KEY,)))
            return is_any

    health.pending = Watched()
    health.settle()
    assert health.pending
    assert not health.is_clear


def test_more_than_the_queue_holds_keeps_reads_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOST_PENDING", 1)
    env, events = surroundings()
    keep_pending(PendingDeletion(("a",)), env)
    keep_pending(PendingDeletion(("b",)), env)
    assert events == [PendingOverflowed(dropped=2)]
    with pytest.raises(BackendUnavailable) as raised:
        script(ask(LOOK, env)).ends()
    assert raised.value.code == "DC206"


def test_every_page_of_the_key_space_is_searched_and_variants_die_with_their_base() -> None:
    env, _ = surroundings(prefix="shop:")
    script(
        delete_matching("user:*", env),
        (Scan(0, "shop:*user:*", 1_000), ScanPage(7, (b"shop:user:1", b"shop:other:user:2"))),
        (Unlink((b"shop:user:1",)), 1),
        (Scan(7, "shop:*user:*", 1_000), ScanPage(3, ())),
        (Scan(3, "shop:*user:*", 1_000), ScanPage(0, (b"shop:~b:user:1",))),
        (Unlink((b"shop:~b:user:1",)), 1),
    ).returns(2)


def refusal(prefix: str) -> BackendRefused:
    error = BackendRefused("no", code="DC207")
    error.prefix = prefix
    return error


@pytest.mark.parametrize(
    ("prefix", "told"),
    [
        ("OOM", [StoresStopped(reason="OOM")]),
        ("WRONGTYPE", []),
        (
            "NOAUTH",
            [BackendDown(reason="NOAUTH", cause="NOAUTH", retry_ms=10_000, is_configuration=True)],
        ),
    ],
)
def test_a_server_that_turns_down_writes_is_reported_once(prefix: str, told: list[Event]) -> None:
    env, events = surroundings()
    for _ in range(2):
        with suppress(BackendRefused, BackendUnavailable):
            script(ask_once(LOOK, env), (LOOK, refusal(prefix))).ends()
        env.health.is_clear = True
    assert events == told


def test_a_ping_that_is_answered_closes_the_breaker() -> None:
    env, events = surroundings()
    script(ping_server(env), (Ping(), refused())).returns(False)
    script(ping_server(env), (Ping(), None)).returns(True)
    assert [type(event) for event in events] == [BackendDown, BackendUp]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (BackendTimeout("no answer", code="DC201"), "timed out after 250 ms"),
        (
            BackendUnavailable("no way", code="DC200", details=(("cause", "connection refused"),)),
            "connection refused",
        ),
        (BackendRefused("no", code="DC203", help="give it"), "NOAUTH: give it"),
        (BackendUnavailable("the link was cut", code="DC200"), "the link was cut"),
    ],
)
def test_the_cause_of_a_failure_is_told_in_words(error: BackendError, cause: str) -> None:
    env, _ = surroundings()
    env.timeout_ms = 250
    if isinstance(error, BackendRefused):
        error.prefix = "NOAUTH"
    assert cause_of(error, env) == cause
    env.timeout_ms = 0
    if isinstance(error, BackendTimeout):
        assert cause_of(error, env) == "no answer"
