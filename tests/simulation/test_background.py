"""Stale values that are served at once, and the loads in the background that replace them."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.backends import memory
from dualcache.core.ops import Commit, CommitReply
from dualcache.engine import serve
from dualcache.engine.leases import RELEASED_MS
from tests.simulation.explorer import explore
from tests.simulation.scenario import TROUBLES, Scenario
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, loads, loads_many, sets
from tests.simulation.searching import BOTH_TRANSPORTS, breaks, holds, some_of
from tests.simulation.values import BOTH, TAG

WRITERS: dict[str, Any] = {
    "key": deletes_key,
    "tag": deletes_tag,
    "set": sets(),
}
OUTAGE: dict[str, Any] = {"stale_if_error_ms": 60_000}
FEW_STATES = 2_000
"""How much of two tiers and of two time-outs is looked at; all of it would take minutes."""


def reads(tags: tuple[str, ...] = (), **options: Any) -> Any:
    """Read through the cache, where a stale value is served at once."""
    return loads(tags, stale_while_revalidate_ms=60_000, **options)


def over_a_stale_entry(
    readers: dict[str, Any], writers: dict[str, Any], **options: Any
) -> Scenario:
    tags = (TAG,) if deletes_tag in writers.values() else ()
    return cast(readers, writers, is_stored=True, is_stale=True, tags=tags, **options)


@pytest.mark.parametrize("kind", list(WRITERS))
def test_an_invalidated_value_is_never_served_as_stale(kind: str) -> None:
    reader = reads((TAG,) if kind == "tag" else ())
    holds(over_a_stale_entry({"A.r1": reader, "B.r2": reader}, {"A.w1": WRITERS[kind]}))


@pytest.mark.parametrize("kind", ["key", "tag"])
def test_two_readers_of_one_process_beside_a_writer_elsewhere(kind: str) -> None:
    reader = reads((TAG,) if kind == "tag" else ())
    holds(over_a_stale_entry({"A.r1": reader, "A.r2": reader}, {"B.w1": WRITERS[kind]}))


def test_a_reader_who_may_not_have_a_stale_value_beside_one_who_may() -> None:
    readers = {"A.r1": reads(), "A.r2": loads(stale_if_error_ms=60_000)}
    holds(over_a_stale_entry(readers, {"B.w1": deletes_key}))


@pytest.mark.parametrize("kind", some_of(["key", "set"], "key"))
def test_a_load_in_the_background_with_any_one_trouble(kind: str) -> None:
    writers = {"B.w1": WRITERS[kind]}
    holds(over_a_stale_entry({"A.r1": reads()}, writers, troubles=TROUBLES, faults=1))


def reads_many(tags: tuple[str, ...] = (), **options: Any) -> Any:
    """Read several keys, where a stale value is served at once."""
    return loads_many(tags, stale_while_revalidate_ms=60_000, **options)


@pytest.mark.parametrize("is_cold", [False, True])
@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_batch_that_is_loaded_anew_in_the_background(kind: str, *, is_cold: bool) -> None:
    reader = reads_many((TAG,) if kind == "tag" else (), is_cold=is_cold)
    holds(over_a_stale_entry({"A.r1": reader}, {"B.w1": WRITERS[kind]}, names=BOTH))


def test_batches_of_two_processes_beside_a_writer() -> None:
    reader = reads_many(is_alone=True)
    holds(over_a_stale_entry({"A.r1": reader, "B.r2": reader}, {"A.w1": deletes_key}))
    single = {"A.r1": reader, "A.r2": reads()}
    holds(over_a_stale_entry(single, {"B.w1": deletes_key}))


@pytest.mark.parametrize("options", [{"stale_while_revalidate_ms": 60_000}, OUTAGE])
def test_a_batch_over_a_stale_entry_with_any_one_trouble(options: dict[str, Any]) -> None:
    reader = loads_many(is_alone=True, is_cold=True, **options)
    holds(over_a_stale_entry({"A.r1": reader}, {"B.w1": deletes_key}, troubles=TROUBLES, faults=1))


@pytest.mark.parametrize("transport", some_of(BOTH_TRANSPORTS, "tracking"))
def test_a_stale_entry_is_not_kept_in_front(transport: str) -> None:
    scenario = over_a_stale_entry(
        {"A.r1": reads(), "A.r2": reads()}, {"B.w1": deletes_key}, transport=transport
    )
    found = explore(scenario, FEW_STATES)
    assert not found.violation, found.story


def timed(tags: tuple[str, ...] = (), **options: Any) -> Any:
    """Read through the cache, and wait no longer than may be."""
    return loads(tags, timeout_ms=50, hard_timeout_ms=100, **options)


LEAVING = frozenset({"bound", "raised", "cancel"})


@pytest.mark.parametrize("writer", ["A.w1", "B.w1"])
@pytest.mark.parametrize("kind", ["key", "tag", "set"])
def test_loads_that_outlive_their_callers_store_nothing_that_was_revoked(
    kind: str, writer: str
) -> None:
    reader = timed((TAG,) if kind == "tag" else (), stale_if_error_ms=60_000)
    readers, writers = {"A.r1": reader, "A.r2": reader}, {writer: WRITERS[kind]}
    scenario = over_a_stale_entry(readers, writers, troubles=LEAVING, faults=1)
    found = explore(scenario, FEW_STATES)
    assert not found.violation, found.story


def test_a_load_of_an_absent_key_that_outlives_its_caller() -> None:
    holds(cast({"A.r1": timed()}, {"B.w1": deletes_key}, troubles=LEAVING, faults=1))


# Each rule taken out


def unfenced(store: memory.MemoryStore, op: Commit) -> CommitReply:
    """Store whatever is there, but for what is given back."""
    if op.ttl_ms is not None and op.ttl_ms <= RELEASED_MS:
        return memory.MemoryStore.commit(store, op)
    store._put(op.key, op.blob, op.ttl_ms)
    return CommitReply.STORED


@pytest.mark.parametrize("reader", [reads(), reads_many(), loads_many(is_cold=True, **OUTAGE)])
def test_without_the_compare_a_load_over_a_stale_entry_overwrites_an_invalidation(
    monkeypatch: pytest.MonkeyPatch, reader: Any
) -> None:
    performers: dict[Any, Any] = {**memory.PERFORMERS, Commit: unfenced}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    scenario = over_a_stale_entry({"A.r1": reader}, {"B.w1": deletes_key}, names=BOTH)
    breaks(scenario, "had been revoked")


def test_without_the_compare_a_load_that_outlives_its_caller_overwrites_an_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    performers: dict[Any, Any] = {**memory.PERFORMERS, Commit: unfenced}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    scenario = cast(
        {"A.r1": timed()}, {"B.w1": deletes_key}, troubles=frozenset({"bound"}), faults=1
    )
    breaks(scenario, "had been revoked")


def test_with_age_judged_before_tags_an_invalidated_value_is_served_as_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "are_alive", lambda *_: True)
    monkeypatch.setattr(serve, "payload_of_living", lambda *_: 0)
    reader = reads((TAG,))
    breaks(over_a_stale_entry({"A.r1": reader}, {"B.w1": deletes_tag}), "acknowledged")
