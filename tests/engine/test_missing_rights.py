"""Rights that the server's user lacks: told once, and what they stop is not sent again."""

from __future__ import annotations

from dualcache.core.events import BackendDown, RightMissing, StoresStopped
from dualcache.core.ops import CommitWay, Ping, Publish
from dualcache.core.revocation import Revocation
from dualcache.core.scans import Scan, ScanPage, Unlink
from dualcache.engine.attempts import attempt
from dualcache.engine.commit_ways import RETRY_MS, can_commit
from dualcache.engine.deletion import delete_matching
from dualcache.engine.missing_rights import note_missing_right
from dualcache.engine.outcomes import note_refusal
from dualcache.engine.upkeep import ping_server
from dualcache.errors import BackendRefused
from tests.engine.conversation import script, surroundings


def denied(*, is_lacking: bool = True) -> BackendRefused:
    error = BackendRefused("the server refused", code="DC203")
    error.prefix, error.is_lacking = "NOPERM" if is_lacking else "BUSY", is_lacking
    return error


def test_a_right_that_is_missing_is_told_once() -> None:
    env, events = surroundings()
    for _ in range(3):
        note_missing_right(env, "+pttl", "it is slow", is_replaced=False)
    note_missing_right(env, "+eval", "it is replaced", is_replaced=True)
    assert events == [
        RightMissing(right="+pttl", without="it is slow"),
        RightMissing(right="+eval", without="it is replaced", is_replaced=True),
    ]


def test_without_the_right_to_store_no_lease_is_tried_for_a_while() -> None:
    now = [0]
    env, events = surroundings(ways=tuple(CommitWay), elapsed_ms=lambda: now[0])
    note_refusal("NOPERM", env)
    assert not can_commit(env)
    now[0] = RETRY_MS
    assert can_commit(env)
    note_refusal("NOPERM", env)
    assert events == [StoresStopped(reason="NOPERM")]


def test_a_ping_that_may_not_be_sent_was_answered_all_the_same() -> None:
    env, events = surroundings()
    script(ping_server(env), (Ping(), denied())).returns(True)
    script(ping_server(env), (Ping(), denied(is_lacking=False))).returns(False)
    assert [type(event) for event in events] == [BackendDown]


def test_what_a_pattern_finds_is_deleted_by_del_where_unlink_may_not_be_sent() -> None:
    env, _ = surroundings()
    script(
        delete_matching("k*", env),
        (Scan, ScanPage(0, (b"k1",))),
        (Unlink((b"k1",)), denied()),
        (Unlink((b"k1",), is_blocking=True), 1),
    ).returns(1)


def test_an_unlink_that_is_refused_for_another_reason_is_not_sent_as_a_del() -> None:
    env, _ = surroundings()
    script(
        delete_matching("k*", env),
        (Scan, ScanPage(0, (b"k1",))),
        (Unlink, denied(is_lacking=False)),
    ).raises(BackendRefused)


def test_without_the_right_to_publish_the_backend_counts_as_down() -> None:
    env, events = surroundings()
    told = Publish(Revocation("c", ("k",)))
    script(attempt(told, env), (told, denied())).raises(BackendRefused)
    assert [type(event) for event in events] == [BackendDown]
