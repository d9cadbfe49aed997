from __future__ import annotations

from dualcache.engine.health import (
    CONFIGURATION_PAUSE_MS,
    FIRST_PAUSE_MS,
    LONGEST_PAUSE_MS,
    Breaker,
)


def test_a_closed_breaker_lets_everybody_pass() -> None:
    breaker = Breaker()
    assert breaker.may_try(0)
    assert breaker.may_try(0)


def test_a_refused_connection_opens_the_breaker_and_one_time_out_does_not() -> None:
    certain, slow = Breaker(), Breaker()
    assert certain.failed(0, since=certain.events, is_certain=True) == FIRST_PAUSE_MS
    assert slow.failed(0, since=slow.events, is_certain=False) == 0
    assert slow.is_closed
    assert slow.failed(0, since=slow.events, is_certain=False) == FIRST_PAUSE_MS
    assert not slow.is_closed


def test_an_answer_between_two_time_outs_keeps_the_breaker_closed() -> None:
    breaker = Breaker()
    breaker.failed(0, since=breaker.events, is_certain=False)
    assert breaker.succeeded() is False
    assert breaker.failed(0, since=breaker.events, is_certain=False) == 0


def test_after_a_pause_one_caller_tries_and_the_next_pause_begins_at_once() -> None:
    breaker = Breaker()
    breaker.failed(0, since=breaker.events, is_certain=True)
    assert not breaker.may_try(FIRST_PAUSE_MS - 1)
    assert breaker.may_try(FIRST_PAUSE_MS)
    assert not breaker.may_try(FIRST_PAUSE_MS)
    assert breaker.may_try(2 * FIRST_PAUSE_MS)


def test_pauses_grow_up_to_a_bound_and_begin_anew_after_an_answer() -> None:
    breaker = Breaker()
    now_ms = 0
    pauses = []
    for _ in range(4):
        breaker.failed(now_ms, since=breaker.events, is_certain=True)
        began_ms = now_ms
        while not breaker.may_try(now_ms):
            now_ms += 100
        pauses.append(now_ms - began_ms)
    assert pauses == [FIRST_PAUSE_MS, 1_000, LONGEST_PAUSE_MS, LONGEST_PAUSE_MS]
    assert breaker.succeeded() is True
    assert breaker.failed(now_ms, since=breaker.events, is_certain=True) == FIRST_PAUSE_MS


def test_only_the_failure_that_opens_the_breaker_returns_a_pause() -> None:
    breaker = Breaker()
    assert breaker.failed(0, since=breaker.events, is_certain=True) == FIRST_PAUSE_MS
    assert breaker.failed(0, since=breaker.events, is_certain=True) == 0


def test_a_wrong_password_is_not_tried_again_at_full_pace() -> None:
    breaker = Breaker()
    pause_ms = breaker.failed(0, since=breaker.events, is_certain=True, is_configuration=True)
    assert pause_ms == CONFIGURATION_PAUSE_MS
    assert not breaker.may_try(CONFIGURATION_PAUSE_MS - 1)


def test_failures_that_several_callers_see_of_one_event_count_once() -> None:
    breaker = Breaker()
    began = breaker.events
    for _ in range(5):
        assert breaker.failed(0, since=began, is_certain=False) == 0
    assert breaker.is_closed
    assert breaker.failed(0, since=breaker.events, is_certain=False) == FIRST_PAUSE_MS
    began = breaker.events - 1
    for _ in range(5):
        breaker.failed(0, since=began, is_certain=True)
    assert breaker.may_try(FIRST_PAUSE_MS)
