from __future__ import annotations

import gc
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from dualcache.core.ops import Keeping
from dualcache.drivers import keeper as keeping_module
from dualcache.drivers.keeper import Keeper, KeptLoad
from tests.bodies import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY_MS = 1.0


class Renewals:
    """Stands for the flows of one load, and for the driver that runs them."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.count = 0
        self._most = most
        self._changed = threading.Condition()

    def keeping(self, every_ms: float = EVERY_MS) -> Keeping:
        return Keeping(lambda: self, every_ms)  # type: ignore[arg-type,return-value]

    def run(self) -> float | None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()
            return EVERY_MS if self.count < self._most else None

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, WAIT_SECONDS)


def kept_by(keeper: Keeper, keeping: Keeping) -> KeptLoad:
    kept = KeptLoad(keeping)
    keeper.keep(kept)
    return kept


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "dualcache-leases"]


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    before = set(threads())
    made = Keeper(lambda renewals: renewals.run())  # type: ignore[attr-defined]
    yield made
    made.stop()
    assert set(threads()) <= before


def test_leases_are_renewed_until_they_are_released(keeper: Keeper) -> None:
    one, other = Renewals(), Renewals()
    first, second = kept_by(keeper, one.keeping()), kept_by(keeper, other.keeping())
    one.wait_for(3)
    other.wait_for(3)
    keeper.release(first)
    count = one.count
    other.wait_for(other.count + 3)
    assert one.count == count
    keeper.release(second)


def test_what_has_nothing_left_to_renew_is_left_alone(keeper: Keeper) -> None:
    ended, going_on = Renewals(most=2), Renewals()
    kept_by(keeper, ended.keeping())
    kept_by(keeper, going_on.keeping())
    ended.wait_for(2)
    going_on.wait_for(going_on.count + 3)
    assert ended.count == 2


def test_a_load_whose_renewal_is_due_first_is_served_first(keeper: Keeper) -> None:
    slow, quick = Renewals(), Renewals()
    kept_by(keeper, slow.keeping(1e6))
    kept_by(keeper, quick.keeping())
    quick.wait_for(2)
    assert slow.count == 0


def test_a_load_whose_renewal_is_far_off_wakes_nobody(keeper: Keeper) -> None:
    woken: list[object] = []

    class Noting(SimpleQueue[None]):
        def put(self, item: None, block: bool = True, timeout: float | None = None) -> None:
            woken.append(item)
            super().put(item, block, timeout)

    keeper._woken = Noting()
    for _ in range(1_000):
        keeper.release(kept_by(keeper, Renewals().keeping(1e6)))
    assert woken == []


def test_the_thread_ends_where_nothing_is_loaded(
    monkeypatch: pytest.MonkeyPatch, keeper: Keeper
) -> None:
    monkeypatch.setattr(keeping_module, "ROUND_SECONDS", 0.001)
    keeper.release(kept_by(keeper, Renewals().keeping()))
    thread = keeper._thread
    assert thread is not None
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    again = Renewals()
    kept = kept_by(keeper, again.keeping())
    again.wait_for(1)
    keeper.release(kept)


def test_it_holds_still_and_goes_on(keeper: Keeper) -> None:
    renewals = Renewals()
    kept = kept_by(keeper, renewals.keeping())
    renewals.wait_for(1)
    keeper.stop()
    count = renewals.count
    assert keeper._thread is None
    keeper.resume()
    renewals.wait_for(count + 2)
    keeper.release(kept)


def test_nothing_goes_on_where_nothing_was_loaded(keeper: Keeper) -> None:
    keeper.stop()
    keeper.resume()
    assert keeper._thread is None


def test_a_renewal_that_is_under_way_ends_before_a_release(keeper: Keeper) -> None:
    begun, gate = threading.Event(), threading.Event()
    states: list[Any] = []

    class Held(Renewals):
        def run(self) -> float | None:
            begun.set()
            gate.wait(WAIT_SECONDS)
            states.append("renewed")
            return None

    kept = kept_by(keeper, Held().keeping())
    begun.wait(WAIT_SECONDS)
    threading.Timer(0.01, gate.set).start()
    keeper.release(kept)
    assert states == ["renewed"]


def test_a_child_begins_anew(keeper: Keeper) -> None:
    kept = kept_by(keeper, Renewals().keeping(1e6))
    keeper.stop()
    keeper.after_fork()
    keeper.release(kept)  # by the load during which the parent forked
    keeper.resume()
    assert keeper._thread is None


def test_what_was_loaded_is_not_held(keeper: Keeper) -> None:
    renewals = Renewals()
    kept = kept_by(keeper, renewals.keeping())
    renewals.wait_for(2)
    keeper.release(kept)
    keeper.stop()
    gone = ref(kept.keeping.renew)
    del kept
    gc.collect()
    assert gone() is None


class Limit(Exception):
    """A soft time limit, which a signal handler raises."""


class TooLate(threading.Thread):
    """As CPython's, where a handler raises just when the thread has begun."""

    def start(self) -> None:
        super().start()
        taken_twice = KeyError(self)
        taken_twice.__context__ = Limit()
        raise taken_twice


class TooEarly(threading.Thread):
    """A handler raises before the thread has begun."""

    def start(self) -> None:
        raise Limit


@pytest.mark.parametrize("interrupted", [TooLate, TooEarly])
def test_an_interrupted_start_is_the_interrupt_and_the_next_load_is_kept(
    keeper: Keeper, interrupted: type[threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = Renewals()
    with monkeypatch.context() as patch:
        patch.setattr(keeping_module, "Thread", interrupted)
        with pytest.raises(Limit):
            kept_by(keeper, renewals.keeping())
    kept = kept_by(keeper, renewals.keeping())
    renewals.wait_for(3)
    keeper.release(kept)
