"""Observers that raise, and that hold their caller up."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, UsageError
from dualcache.core.events import Event, Hit, Loaded, Miss, ObserverFailed
from dualcache.observability.observers import (
    MOST_WAITING,
    SLOW_CALLS,
    SLOW_SECONDS,
    Observers,
)
from tests.bodies import WAIT_SECONDS

if TYPE_CHECKING:
    from tests.colours import Colour


class Slow:
    """An observer that takes long by a clock of its own, and notes who calls it with what.

    It waits at a gate when a thread calls it that is not the test's.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.took = SLOW_SECONDS
        self.seen: list[tuple[str, str]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.error: Exception | None = None

    def __call__(self, event: Event) -> None:
        thread = threading.current_thread()
        self.now += self.took
        self.seen.append((thread.name, getattr(event, "template", "")))
        if thread is not threading.main_thread():
            self.entered.set()
            assert self.gate.wait(WAIT_SECONDS)
        if self.error is not None:
            raise self.error

    def of(self, name: str) -> list[str]:
        return [template for thread, template in self.seen if thread == name]


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def observers(slow: Slow) -> Observers:
    made = Observers(lambda: slow.now)
    made.add(slow)
    return made


def thread_ends() -> None:
    for thread in threading.enumerate():
        if thread.name == "dualcache-observer":
            thread.join(WAIT_SECONDS)


def emit(observers: Observers, *templates: Any) -> None:
    for template in templates:
        observers.emit(Miss(str(template), "absent"))


def test_an_observer_that_is_slow_again_and_again_is_called_by_a_thread(
    observers: Observers, slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    emit(observers, *range(SLOW_CALLS))
    assert len(caplog.messages) == 1
    assert "the observer Slow has delayed callers" in caplog.text
    emit(observers, "a", "b", "c")
    slow.gate.set()
    thread_ends()
    emit(observers, "d")
    thread_ends()
    here = threading.main_thread().name
    assert slow.of(here) == [str(number) for number in range(SLOW_CALLS)]
    assert slow.of("dualcache-observer") == ["a", "b", "c", "d"]
    assert (observers.failures, len(caplog.messages)) == (0, 1)


def test_one_that_is_quick_or_slow_now_and_then_stays(observers: Observers, slow: Slow) -> None:
    emit(observers, *range(SLOW_CALLS - 1))
    slow.took = SLOW_SECONDS / 2
    emit(observers, *range(100))
    assert {thread for thread, _ in slow.seen} == {threading.main_thread().name}


def test_of_too_many_events_the_last_are_dropped_and_counted(
    observers: Observers, slow: Slow
) -> None:
    emit(observers, *range(SLOW_CALLS), "held")
    assert slow.entered.wait(WAIT_SECONDS)
    emit(observers, *range(MOST_WAITING + 7))
    assert observers.failures == 7
    slow.gate.set()
    thread_ends()
    assert len(slow.of("dualcache-observer")) == MOST_WAITING + 1


def test_what_it_raises_in_its_thread_is_counted_and_told(observers: Observers, slow: Slow) -> None:
    told: list[Event] = []
    observers.add(told.append)
    emit(observers, *range(SLOW_CALLS))
    slow.gate.set()
    slow.error = ValueError()
    emit(observers, "a")
    thread_ends()
    assert observers.failures == 2  # one for the event that tells of the first
    assert ObserverFailed(error="ValueError") in told


def test_where_no_thread_can_be_started_the_next_event_tries_again(
    observers: Observers, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    emit(observers, *range(SLOW_CALLS))
    slow.gate.set()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fails)
        emit(observers, "a")
    emit(observers, "b")
    thread_ends()
    assert slow.of("dualcache-observer") == ["a", "b"]


def test_in_a_forked_child_another_thread_begins(
    observers: Observers, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit(observers, *range(SLOW_CALLS), "parent")
    assert slow.entered.wait(WAIT_SECONDS)
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    slow.entered.clear()
    emit(observers, "child")
    assert slow.entered.wait(WAIT_SECONDS)
    slow.gate.set()
    thread_ends()
    assert sorted(slow.of("dualcache-observer")) == ["child", "parent"]


def test_a_caller_of_a_cache_does_not_wait_for_an_observer_that_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dualcache.observability.observers.SLOW_SECONDS", 0.0)
    blocked = threading.Event()
    calls: list[str] = []

    def observe(event: Event) -> None:
        calls.append(type(event).__name__)
        if len(calls) > SLOW_CALLS:
            blocked.wait(WAIT_SECONDS)

    def read(n: int) -> int:
        return n

    with Cache("memory://") as cache:
        cache.on_event(observe)
        load = cache(key="n:{n}")(read)
        assert [load(n) for n in range(20)] == list(range(20))
        blocked.set()
        thread_ends()


def test_an_observer_may_ask_for_some_events_alone(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    loads: list[Event] = []
    all_events: list[Event] = []
    cache.on_event(loads.append, events=[Loaded])
    load = cache(key="k")(colour.function(lambda: 1))
    for _ in range(2):
        colour.run(load)
    assert [type(event) for event in loads] == [Loaded]
    heard = [cache._runtime.backend.env.hits_are_heard]
    with cache.observed(all_events.append):
        heard.append(cache._runtime.backend.env.hits_are_heard)
        colour.run(load)
    assert [type(event) for event in all_events] == [Hit]
    assert [*heard, cache._runtime.backend.env.hits_are_heard] == [False, True, False]


def test_an_observer_for_a_while_may_ask_for_some_events_alone(colour: Colour) -> None:
    cache = colour.cache("memory://")
    misses: list[Any] = []
    load = cache(key="k")(colour.function(lambda: 1))
    with cache.observed(misses.append, events=[Miss], include_keys=True):
        assert not cache._runtime.backend.env.hits_are_heard
        colour.run(load)
        colour.run(load)
    assert [each.key for each in misses] == ["k"]


def test_keys_reach_only_observers_that_ask_for_them(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    bare: list[Any] = []
    whole: list[Any] = []
    cache.on_event(bare.append, events=[Hit, Miss, Loaded])

    @cache.on_event(events=[Hit, Miss, Loaded], include_keys=True)
    def note(event: Event) -> None:
        whole.append(event)

    load = cache(key="k:{n}")(colour.function(lambda n: n))
    for _ in range(2):
        colour.run(load, 1)
    assert [event.key for event in bare] == ["", "", ""]
    assert [event.key for event in whole] == ["k:1", "k:1", "k:1"]
    assert [type(event) for event in bare] == [type(event) for event in whole]


@pytest.mark.parametrize("events", [[], [int], ["Hit"], [Hit("k")]])
def test_what_is_no_class_of_events_is_refused(events: Any) -> None:
    with pytest.raises(UsageError) as raised:
        Cache("memory://").on_event(print, events=events)
    assert raised.value.code == "DC485"
