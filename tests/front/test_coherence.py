from __future__ import annotations

from math import inf

import pytest

from dualcache.core.scope import LoadScope, next_moment
from dualcache.engine.coherence import BUCKETS, CLOSED, PASSED_BEFORE_PROOF, Coherence


@pytest.fixture
def machine() -> Coherence:
    made = Coherence(5.0)
    made.connected(100.0)
    return made


def test_what_was_read_while_nothing_changed_may_be_kept(machine: Coherence) -> None:
    ticket = machine.begin_read(["a", "b"])
    machine.feed([other_bucket("a", "b")])
    assert machine.may_install(ticket, None)
    assert machine.may_install(ticket, machine.push_epoch)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_push_between_ticket_and_reply_forbids_keeping(machine: Coherence, name: str) -> None:
    ticket = machine.begin_read(["a", "b"])
    machine.feed([name])
    assert not machine.may_install(ticket, None)
    assert machine.may_install(machine.begin_read(["a", "b"]), None)


def test_a_push_of_many_names_counts_each(machine: Coherence) -> None:
    tickets = [machine.begin_read([name]) for name in ("a", "b", "c")]
    marks = [machine.mark(name) for name in ("a", "b", "c")]
    machine.feed(["a", "never seen", "c"])
    kept = [machine.may_install(ticket, None) for ticket in tickets]
    assert (kept[0], kept[2]) == (False, False)
    assert machine.mark("a") > marks[0]


def test_names_of_one_bucket_only_cost_an_installation(machine: Coherence) -> None:
    ticket = machine.begin_read(["a"])
    machine.feed([same_bucket("a")])
    assert not machine.may_install(ticket, None)


def test_a_flush_forbids_keeping_and_leaves_the_stream_up(machine: Coherence) -> None:
    ticket = machine.begin_read(["a"])
    machine.feed_all()
    assert not machine.may_install(ticket, None)
    assert machine.is_up
    assert machine.open_until == 105.0


def test_a_loss_closes_at_once_and_what_was_read_before_is_never_kept(machine: Coherence) -> None:
    ticket = machine.begin_read(["a"])
    machine.lost()
    assert (machine.is_up, machine.open_until) == (False, CLOSED)
    during = machine.begin_read(["a"])
    assert not machine.may_install(during, None)
    machine.connected(200.0)
    assert not machine.may_install(ticket, None)
    assert not machine.may_install(during, None)
    assert machine.may_install(machine.begin_read(["a"]), None)


def test_each_stream_has_a_number_of_its_own(machine: Coherence) -> None:
    first = machine.push_epoch
    machine.lost()
    assert machine.connected(200.0) > first


def test_where_reads_are_tracked_only_those_of_this_stream_may_be_kept() -> None:
    machine = Coherence(5.0)
    before = machine.connected(1.0, is_tracked=True)
    push_epoch = machine.connected(2.0, is_tracked=True)
    ticket = machine.begin_read(["a"])
    allowed = {each: machine.may_install(ticket, each) for each in (None, 0, before, push_epoch)}
    assert allowed == {None: False, 0: False, before: False, push_epoch: True}


def test_where_all_is_heard_a_connection_of_an_older_stream_forbids_keeping(
    machine: Coherence,
) -> None:
    machine.connected(200.0)
    ticket = machine.begin_read(["a"])
    last = machine.push_epoch
    assert not any(machine.may_install(ticket, each) for each in (last - 1, (last - 1, last)))


def test_the_horizon_follows_the_moment_at_which_a_proof_was_asked_for(machine: Coherence) -> None:
    machine.proved(103.0)
    assert machine.open_until == 108.0
    machine.proved(101.0)
    assert machine.open_until == 108.0


def test_a_proof_that_comes_after_the_loss_opens_nothing(machine: Coherence) -> None:
    machine.lost()
    machine.proved(103.0)
    assert machine.open_until == CLOSED


def test_a_tier_that_only_one_process_writes_to_never_closes() -> None:
    machine = Coherence(5.0)
    machine.connected(inf)
    assert machine.open_until == inf


def test_a_load_is_served_copies_after_a_proof_that_was_asked_for_since_it_began(
    machine: Coherence,
) -> None:
    before, load = next_moment(), LoadScope()
    assert not machine.may_serve_load(load)
    machine.heard_until(before)
    assert not machine.may_serve_load(load)
    machine.heard_until(next_moment())
    machine.heard_until(before)
    assert machine.may_serve_load(load)
    assert not machine.may_serve_load(LoadScope())


def test_a_load_asks_for_a_proof_after_some_copies_and_only_once(machine: Coherence) -> None:
    load = LoadScope()
    load.passed = PASSED_BEFORE_PROOF - 1
    assert not machine.must_ask(load)
    load.passed += 1
    assert machine.must_ask(load)
    machine.asked = next_moment()
    assert not machine.must_ask(load)
    later = LoadScope()
    later.passed = PASSED_BEFORE_PROOF
    assert machine.must_ask(later)


def same_bucket(name: str) -> str:
    return next(each for each in names() if hash(each) % BUCKETS == hash(name) % BUCKETS)


def other_bucket(*taken: str) -> str:
    buckets = {hash(name) % BUCKETS for name in taken}
    return next(each for each in names() if hash(each) % BUCKETS not in buckets)


def names() -> list[str]:
    return [f"name {number}" for number in range(100_000)]
