from __future__ import annotations

import threading

from dualcache.core.front_ports import NO_TIER, TierPort
from dualcache.drivers.changes import Changes
from dualcache.front.tracking import Tracking


def test_the_end_of_a_tracked_connection_is_told_once() -> None:
    told: list[int] = []
    tracking = Tracking(lambda: told.append(1))
    tracking.add(7)
    assert tracking.ids() == (7,)
    tracking.gone(8)
    assert told == []
    tracking.gone(7)
    tracking.gone(7)
    assert (told, tracking.ids()) == ([1], ())


def test_a_connection_that_the_server_no_longer_has_is_not_told_again() -> None:
    told: list[int] = []
    tracking = Tracking(lambda: told.append(1))
    tracking.add(7)
    tracking.forget([7, 9])
    tracking.gone(7)
    assert told == []


def test_connections_of_a_stream_that_ended_are_forgotten_with_it() -> None:
    told: list[int] = []
    tracking = Tracking(lambda: told.append(1))
    tracking.open(1, 70)
    assert tracking.redirect == (1, 70)
    tracking.add(7)
    tracking.close()
    tracking.gone(7)
    assert told == []
    assert tracking.ids() == ()
    assert tracking.redirect is None


def test_a_forked_child_begins_with_nothing() -> None:
    tracking = Tracking(lambda: None)
    tracking.open(1, 70)
    tracking.add(7)
    tracking.after_fork()
    assert (tracking.redirect, tracking.ids()) == (None, ())


def test_waiters_are_woken_by_the_push_of_their_name_and_only_once() -> None:
    changes, woken = Changes(), list[str]()
    one, other = (lambda: woken.append("one")), (lambda: woken.append("other"))
    changes.wait("a", one)
    changes.wait("b", other)
    changes.notify(["a", "c"])
    changes.notify(["a"])
    assert woken == ["one"]
    changes.notify_all()
    assert woken == ["one", "other"]
    changes.notify_all()
    assert woken == ["one", "other"]


def test_who_no_longer_waits_is_not_woken() -> None:
    changes, woken = Changes(), list[str]()
    wakes = [lambda: woken.append("one"), lambda: woken.append("two")]
    for wake in wakes:
        changes.wait("a", wake)
    changes.forget("a", wakes[0])
    changes.notify(["a"])
    assert woken == ["two"]
    changes.forget("a", wakes[1])
    assert not changes._waiting


def test_a_forked_child_waits_for_nothing_and_its_lock_is_its_own() -> None:
    changes = Changes()
    changes.wait("a", threading.Event().set)
    with changes._lock:
        changes.after_fork()
        changes.wait("b", threading.Event().set)
    assert list(changes._waiting) == ["b"]


def test_where_nobody_hears_there_is_no_mark_and_no_proof() -> None:
    tier: TierPort = NO_TIER
    assert tier.mark("a") is None
    assert not tier.ask_proof(lambda: None)
