"""Every schedule of small casts in which an entry is touched, and each of its rules taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.backends import memory
from dualcache.core.ops import Commit, CommitReply
from dualcache.engine import touch
from dualcache.engine.freshness import FRESH, STALE
from tests.simulation import searching
from tests.simulation.scenario import TROUBLES, Scenario
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, expires, gets, loads, touches
from tests.simulation.searching import TRANSPORTS, breaks, holds, two_tiers
from tests.simulation.values import TAG

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def beside(writer: Callable[..., Any], **options: Any) -> Scenario:
    """Make a scenario of one that touches beside a reader and a writer elsewhere."""
    return cast({"A.t1": touches, "A.r2": gets()}, {"B.w1": writer}, is_stored=True, **options)


def test_a_touch_brings_nothing_back() -> None:
    for writer in (deletes_key, expires):
        holds(beside(writer))
    holds(cast({"A.t1": touches, "B.r2": loads()}, {"B.w1": deletes_key}, is_stored=True))


def test_a_touch_of_an_entry_with_a_tag() -> None:
    readers = {"A.t1": touches, "A.r2": gets((TAG,))}
    holds(cast(readers, {"B.w1": deletes_tag}, is_stored=True, tags=(TAG,)))


def test_any_one_trouble_of_who_touches() -> None:
    readers = {"A.t1": touches}
    for writer in (deletes_key, expires):
        holds(cast(readers, {"B.w1": writer}, is_stored=True, troubles=TROUBLES, faults=1))


@TRANSPORTS
def test_a_touch_beside_copies(transport: str) -> None:
    readers = {"A.t1": touches, "B.r2": gets()}
    holds(two_tiers(readers, {"A.w1": deletes_key}, transport, is_kept=True))


def test_without_the_compare_it_brings_back_what_was_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unfenced(store: memory.MemoryStore, op: Commit) -> CommitReply:
        store._put(op.key, op.blob, op.ttl_ms)
        return CommitReply.STORED

    performers: dict[Any, Any] = {**memory.PERFORMERS, Commit: unfenced}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    breaks(beside(deletes_key), searching.STALE)


def test_a_touch_of_what_was_expired_would_make_it_fresh_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(touch, "_TOUCHED", (FRESH, STALE))
    breaks(beside(expires), searching.STALE)
