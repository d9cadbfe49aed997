"""Which revocations are told to other processes, and with which ops."""

from __future__ import annotations

import pytest

from dualcache.core.flight import CloseFlights, EndFlight, Join, Load
from dualcache.core.ops import (
    Batch,
    Claim,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    Loaded,
    Look,
    LookAndLease,
    Publish,
    RawRead,
    ReadTags,
)
from dualcache.core.policy import Call
from dualcache.core.revocation import Revocation
from dualcache.core.scans import ReadHeads, Scan, ScanPage, Unlink
from dualcache.engine.deletion import revoked_by
from dualcache.engine.health import PendingDeletion
from dualcache.engine.invalidation import clear, clear_function, invalidate
from dualcache.engine.load import get_or_load, refresh
from dualcache.engine.recovery import ask, keep_pending
from dualcache.engine.write import set_many, set_value
from dualcache.errors import BackendRefused
from tests.engine.conversation import (
    KEY,
    LEASE_MS,
    call,
    cold,
    cut,
    filling,
    lead,
    policy,
    script,
    slow,
    stored,
    surroundings,
)

CHANNEL = "~c"
OURS = Revocation(CHANNEL, (KEY,))
STORED = CommitReply.STORED


def test_an_invalidation_publishes_its_keys_their_variants_and_its_tags() -> None:
    env, _ = surroundings(channel=CHANNEL)
    names = (KEY, f"~b:{KEY}", "~t:a")
    script(
        invalidate((KEY,), ("~t:a",), (), env),
        (Delete(names, Revocation(CHANNEL, names)), 0),
        (CloseFlights, None),
    ).ends()


def test_without_a_channel_nothing_is_published() -> None:
    env, _ = surroundings()
    script(
        invalidate((KEY,), (), ("a*",), env),
        (Delete((KEY, f"~b:{KEY}")), 1),
        (Scan(0, "*a*", 1000), ScanPage(0, ())),
        (CloseFlights, None),
    ).ends()


def test_a_pattern_is_published_once_after_its_last_page_is_deleted() -> None:
    env, _ = surroundings(channel="shop:~c", prefix="shop:")
    script(
        invalidate((), (), ("a*",), env),
        (Scan, ScanPage(7, (b"shop:a1",))),
        (Unlink((b"shop:a1",)), 1),
        (Scan, ScanPage(0, (b"shop:a2",))),
        (Unlink((b"shop:a2",)), 1),
        (Publish(Revocation("shop:~c", (), ("a*",))), None),
        (CloseFlights, None),
    ).ends()


def test_the_pattern_of_a_function_is_published_when_all_is_deleted() -> None:
    env, _ = surroundings(channel="shop:~c", prefix="shop:")
    script(
        clear_function(b"function", "a*", env),
        (Scan, ScanPage(0, (b"shop:a1",))),
        (ReadHeads, (stored("v", owner=b"function"),)),
        (Unlink((b"shop:a1",)), 1),
        (Unlink((b"shop:~b:a1",)), 0),
        (Publish(Revocation("shop:~c", (), ("a*",))), None),
        (CloseFlights, None),
    ).ends()


def test_a_shortened_name_that_its_pattern_misses_is_published_by_itself() -> None:
    env, _ = surroundings(channel=CHANNEL)
    hidden = b"a:" + b"x" * 235 + b"~digest~" + b"y" * 235
    head = stored("v", owner=b"function")
    script(
        clear_function(b"function", "a:*:b:*", env),
        (Scan, ScanPage(0, (hidden, b"a:1:b:2"))),
        (ReadHeads, (head, head)),
        (Unlink((hidden, b"a:1:b:2")), 2),
        (Unlink, 0),
        (Publish(Revocation(CHANNEL, (hidden.decode(),))), None),
        (Publish(Revocation(CHANNEL, (), ("a:*:b:*",))), None),
        (CloseFlights, None),
    ).ends()


def test_a_pattern_that_could_not_be_published_is_pending() -> None:
    env, _ = surroundings(channel=CHANNEL)
    done = script(
        invalidate((), (), ("a*",), env),
        (Scan, ScanPage(0, ())),
        (Publish, slow()),
        (CloseFlights, None),
    ).ends()
    assert done.pending == 1
    assert list(env.health.pending.values()) == [PendingDeletion((), ("a*",))]
    script(
        ask(Look(KEY), env),
        (Scan, ScanPage(0, ())),
        (Publish(Revocation(CHANNEL, (), ("a*",))), None),
        (Look, RawRead(None)),
    ).ends()


def test_a_pending_deletion_is_published_when_it_is_delivered() -> None:
    env, _ = surroundings(channel=CHANNEL)
    keep_pending(PendingDeletion((KEY,)), env)
    script(
        ask(Look(KEY), env),
        (Delete((KEY,), OURS), cut()),
        (Delete((KEY,), OURS), 1),
        (Look, RawRead(None)),
    ).ends()


def test_a_full_server_deletes_and_publishes_without_a_transaction() -> None:
    env, _ = surroundings(channel=CHANNEL)
    names = (KEY, f"~b:{KEY}")
    notice = Revocation(CHANNEL, names)
    done = script(
        invalidate((KEY,), (), (), env),
        (Delete(names, notice), turned_down("OOM")),
        (Batch((Delete(names), ReadTags((f"~h:{KEY}",)), Publish(notice))), (1, (None,), None)),
        (CloseFlights, None),
    ).ends()
    assert (done.removed, done.pending) == (1, 0)


@pytest.mark.parametrize(("channel", "prefix"), [(CHANNEL, "NOPERM"), ("", "OOM")])
def test_a_deletion_that_is_turned_down_is_pending(channel: str, prefix: str) -> None:
    env, _ = surroundings(channel=channel)
    done = script(
        invalidate((KEY,), (), (), env),
        (Delete, turned_down(prefix)),
        (CloseFlights, None),
    ).ends()
    assert done.pending == 1


def turned_down(prefix: str) -> BackendRefused:
    error = BackendRefused(prefix, code="DC202")
    error.prefix = prefix
    return error


def test_a_clear_spares_the_keys_that_show_flushes() -> None:
    env, _ = surroundings(channel="shop:~c", prefix="shop:")
    script(
        clear(env),
        (Scan, ScanPage(0, (b"shop:a", b"shop:~e", b"shop:~e:12", b"shop:~t:a"))),
        (Unlink((b"shop:a", b"shop:~t:a")), 2),
        (Publish(Revocation("shop:~c", (), ("*",))), None),
        (CloseFlights(None), None),
    ).ends()
    assert revoked_by("*", "shop:")("shop:~e")


def test_a_set_is_published_with_its_claim_and_not_with_its_commit() -> None:
    env, _ = surroundings(channel=CHANNEL)
    script(
        set_value(call(), "v", env),
        (Claim(KEY, filling(1), LEASE_MS, (), OURS), RawRead(filling(1))),
        (Commit(KEY, filling(1), stored("v", 2), 60_000, CommitWay.IFEQ), STORED),
        (CloseFlights, None),
    ).returns(True)


def test_a_set_that_may_have_arrived_is_published_with_its_deletion() -> None:
    env, _ = surroundings(channel=CHANNEL)
    script(
        set_value(call(), "v", env),
        (Claim, slow()),
        (Delete((KEY,), OURS), 1),
        (CloseFlights, None),
    ).returns(False)


def test_each_of_several_sets_is_published() -> None:
    env, _ = surroundings(channel=CHANNEL)
    told: list[str] = []
    flow = set_many([(Call("a", policy()), "v"), (Call("b", policy()), "w")], env)
    try:
        op = next(flow)
        while True:
            ops = getattr(op, "ops", (op,))
            claims = [each for each in ops if isinstance(each, Claim)]
            told += [name for each in claims if each.notice for name in each.notice.names]
            replies = tuple(
                RawRead(each.filling) if isinstance(each, Claim) else STORED for each in ops
            )
            op = flow.send(replies if hasattr(op, "ops") else replies[0])
    except StopIteration:
        assert told == ["a", "b"]


def test_a_refresh_is_published_with_the_commit_that_replaces_a_usable_entry() -> None:
    env, _ = surroundings(channel=CHANNEL)
    old, resealed, new = stored("old"), stored("old", 1), stored("new", 2, load_ms=5)
    script(
        refresh(call(), env),
        (Look, RawRead(old, (), 30_000)),
        (Commit(KEY, old, resealed, 30_000, CommitWay.IFEQ), STORED),  # the same value
        (Load, Loaded("new", 5.0)),
        (Commit(KEY, resealed, new, 60_000, CommitWay.IFEQ, OURS), STORED),
    ).ends()


def test_a_refresh_of_an_entry_that_changed_meanwhile_is_published_with_its_claim() -> None:
    env, _ = surroundings(channel=CHANNEL)
    script(
        refresh(call(), env),
        (Look, RawRead(None)),
        (LookAndLease(KEY, filling(1), LEASE_MS), RawRead(stored("theirs"))),
        (Commit(KEY, stored("theirs"), filling(2), LEASE_MS, CommitWay.IFEQ, OURS), STORED),
        (Load, Loaded("new", 5.0)),
        (
            Commit(KEY, filling(2), stored("new", 3, load_ms=5), 60_000, CommitWay.IFEQ),
            STORED,
        ),
    ).ends()


def test_a_fill_is_not_published() -> None:
    env, _ = surroundings(channel=CHANNEL)
    script(
        get_or_load(cold(), env),
        (Join, lead),
        (LookAndLease(KEY, filling(1), LEASE_MS), RawRead(filling(1))),
        (Load, Loaded("new", 5.0)),
        (Commit(KEY, filling(1), stored("new", 2, load_ms=5), 60_000, CommitWay.IFEQ), STORED),
        (EndFlight, None),
    ).ends()


@pytest.mark.parametrize("way", CommitWay)
def test_a_notice_goes_with_every_way_of_committing(way: CommitWay) -> None:
    env, _ = surroundings(channel=CHANNEL, ways=(way,))
    script(
        refresh(call(), env),
        (Look, RawRead(stored("old"), (), None)),
        (Commit, STORED),
        (Load, Loaded("new", 5.0)),
        (Commit(KEY, stored("old", 1), stored("new", 2, load_ms=5), 60_000, way, OURS), STORED),
    ).ends()
