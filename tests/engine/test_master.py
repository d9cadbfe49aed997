"""For how long a server may be taken for the master that Sentinels named."""

from __future__ import annotations

from dualcache.engine.master import NEVER, Master

OLD, NEW = ("old", 6379), ("new", 6379)


def test_nothing_is_relied_upon_before_the_first_answer() -> None:
    master = Master(6.0)
    assert (master.address, master.trusted_until) == (None, NEVER)
    assert not master.is_overdue(100.0)


def test_an_answer_counts_from_when_it_was_asked_for() -> None:
    master = Master(6.0)
    assert not master.told(OLD, 10.0)
    assert (master.address, master.confirmed_at, master.trusted_until) == (OLD, 10.0, 16.0)
    assert master.interval == 2.0


def test_the_same_address_prolongs_the_trust_and_another_one_ends_it() -> None:
    master = Master(6.0)
    master.told(OLD, 10.0)
    assert not master.told(OLD, 12.0)
    assert master.trusted_until == 18.0
    assert master.told(NEW, 14.0)
    assert (master.address, master.trusted_until) == (NEW, 20.0)


def test_a_server_is_left_once_when_no_sentinel_confirms_it_in_time() -> None:
    master = Master(6.0)
    master.told(OLD, 10.0)
    assert not master.is_overdue(15.9)
    assert master.is_overdue(16.0)
    assert not master.is_overdue(17.0)
    assert not master.told(OLD, 18.0)
    assert not master.is_overdue(23.9)
    assert master.is_overdue(24.0)


def test_another_sentinel_is_asked_where_the_server_that_was_named_cannot_be_used() -> None:
    master = Master(6.0)
    assert not master.take_doubt()
    master.told("a", 0.0)
    master.doubt("b")  # a connection that began before
    assert not master.take_doubt()
    master.doubt("a")
    assert master.take_doubt()
    assert not master.take_doubt()
