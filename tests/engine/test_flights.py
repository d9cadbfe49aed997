from __future__ import annotations

import pytest

from dualcache.core.flight import ABANDONED, Flight, Join, JoinReply, Stage
from dualcache.core.policy import Counters
from dualcache.engine.flights import may_follow, may_take_over, wait_bound_ms

BASIS = (b"header", ())


def flight(load_sequence: int | None = None, thread: int = 1) -> Flight:
    each = Flight("k", object(), thread)
    each.load_sequence = load_sequence
    each.seen_version = BASIS
    return each


def ask(began: int = 10, *, has_looked: bool = False, seen_version: object = None) -> Join:
    return Join("k", began, seen_version, has_looked)


def decide(
    asked: Join, other: Flight | None, leads: tuple[Flight, ...] = (), *, is_blocking: bool = False
) -> bool | JoinReply:
    return may_follow(asked, other, leads, 1, is_blocking)


def test_a_caller_leads_where_there_is_no_open_flight() -> None:
    closed = flight()
    closed.is_open = False
    assert decide(ask(), None) is False
    assert decide(ask(), closed) is False


@pytest.mark.parametrize("load_sequence", [None, 11])
def test_a_load_that_begins_after_the_caller_is_followed(load_sequence: int | None) -> None:
    assert decide(ask(10), flight(load_sequence)) is True


def test_an_older_load_is_followed_only_by_a_caller_who_found_what_it_started_from() -> None:
    assert decide(ask(10), flight(9)) is JoinReply.MUST_LOOK
    assert decide(ask(10, has_looked=True), flight(9)) is False
    assert decide(ask(10, has_looked=True, seen_version=(b"other", ())), flight(9)) is False
    assert decide(ask(10, has_looked=True, seen_version=BASIS), flight(9)) is True


def test_a_lenient_caller_follows_any_open_flight() -> None:
    assert decide(Join("k", 10, is_lenient=True), flight(9)) is True


def test_a_patient_caller_waits_for_any_open_flight() -> None:
    closed = flight(9)
    closed.is_open = False
    assert decide(Join("k", 10, is_patient=True), flight(9)) is True
    assert decide(Join("k", 10, is_patient=True), closed) is False


def test_callers_that_waited_for_a_flight_share_the_next_even_if_that_has_landed() -> None:
    first, second = flight(9), flight(11)
    second.is_open, second.result = False, ABANDONED
    assert decide(ask(10), second, is_blocking=True) is False
    first.next = second
    again = Join("k", 10, is_patient=True, after=first)
    assert decide(again, second, is_blocking=True) is True
    assert decide(Join("k", 10, after=first), second) is True


def test_a_caller_whose_wait_is_over_takes_over_unless_a_load_began_meanwhile() -> None:
    each = flight()
    assert may_take_over(each, Stage())
    each.load_sequence = 3
    assert not may_take_over(each, Stage())
    assert may_take_over(each, Stage(load_sequence=3))
    each.takeovers += 1
    assert not may_take_over(each, Stage(load_sequence=3))
    assert may_take_over(each, each.stage)
    each.result = ABANDONED
    assert not may_take_over(each, each.stage)


def test_nobody_waits_for_a_leader_on_the_thread_that_the_wait_would_block() -> None:
    assert decide(ask(), flight(), is_blocking=True) is JoinReply.ALONE
    assert decide(ask(), flight(thread=2), is_blocking=True) is True


def test_nobody_waits_for_a_flight_that_waits_for_its_own() -> None:
    mine, between, other = flight(), flight(), flight()
    other.awaited = [between, between]
    between.awaited = [other, mine]
    assert decide(ask(), mine, (mine,)) is JoinReply.ALONE
    assert decide(ask(), other, (mine,)) is JoinReply.ALONE


def test_a_circle_of_other_callers_waits_ends_the_search() -> None:
    one, other = flight(), flight()
    one.awaited, other.awaited = [other], [one, one]
    assert decide(ask(), one, (flight(),)) is True


@pytest.mark.parametrize(
    ("load_ms", "announced_ms", "takeovers", "bound_ms"),
    [
        (None, 0, 0, 30_000),
        (None, 0, 3, 30_000),
        (None, 2_000, 0, 6_000),
        (0.0, 0, 0, 1_000),
        (1, 0, 0, 1_000),
        (1, 0, 2, 4_000),
        (1, 0, 9, 30_000),
        (1, 2_000, 0, 6_000),
        (60_000, 0, 0, 30_000),
    ],
)
def test_a_wait_lasts_three_measured_loads_within_bounds(
    load_ms: float | None, announced_ms: float, takeovers: int, bound_ms: float
) -> None:
    counters = Counters()
    counters.load_ms = load_ms
    assert wait_bound_ms(counters, announced_ms, takeovers) == bound_ms
