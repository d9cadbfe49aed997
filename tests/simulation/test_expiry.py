"""Every schedule of small casts in which an entry is expired, and each of its rules taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dualcache.core.entry import Kind
from dualcache.core.envelope import kind_of
from dualcache.engine import expiry
from dualcache.engine.commit import commit_each
from dualcache.engine.invalidation import delete
from tests.simulation.scenario import TROUBLES, Scenario
from tests.simulation.scenarios import cast, deletes_key, expires, gets, loads, sets
from tests.simulation.searching import STALE, TRANSPORTS, breaks, holds, holds_in_samples, two_tiers

if TYPE_CHECKING:
    from dualcache.core.ops import Flow


def expired_and_deleted(readers: dict[str, Any]) -> Scenario:
    return cast(readers, {"A.w1": expires, "B.w2": deletes_key}, is_stored=True)


def test_a_stored_key_expired_beside_readers_and_another_writer() -> None:
    holds(expired_and_deleted({"A.r1": loads(), "B.r2": gets()}))
    holds_in_samples(expired_and_deleted({"A.r1": loads(), "B.r2": loads()}))


@pytest.mark.storm
def test_a_stored_key_expired_beside_two_loads_and_another_writer() -> None:
    holds(expired_and_deleted({"A.r1": loads(), "B.r2": loads()}))


def test_a_key_that_is_being_loaded_or_set_is_expired() -> None:
    holds(cast({"A.r1": loads(), "A.r2": loads()}, {"B.w1": expires}))
    holds(cast({"A.r1": loads()}, {"A.w1": sets(), "B.w2": expires}))


@pytest.mark.parametrize("is_stored", [True, pytest.param(False, marks=pytest.mark.storm)])
def test_any_one_trouble_of_a_reader_or_of_who_expires(is_stored: bool) -> None:
    for writer in ("A.w1", "B.w1"):
        holds(
            cast(
                {"A.r1": loads()},
                {writer: expires},
                is_stored=is_stored,
                troubles=TROUBLES,
                faults=1,
            )
        )


@TRANSPORTS
def test_copies_in_two_processes_go_with_the_freshness_of_their_entry(transport: str) -> None:
    for readers in ({"A.r1": gets(), "B.r2": gets()}, {"A.r1": gets(), "B.r2": loads()}):
        holds(two_tiers(readers, {"A.w1": expires}, transport, is_kept=True))


def expired_twice() -> Scenario:
    """Make a scenario in which an entry that is expired already is being loaded anew."""
    return cast({"A.r1": loads()}, {"B.w1": expires, "B.w2": expires}, is_stored=True)


def test_an_entry_that_is_expired_again_under_its_old_version_lets_a_load_under_way_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change_of = expiry._change_of

    def unless_expired(key: str, raw_read: Any, env: Any) -> Any:
        change = change_of(key, raw_read, env)
        if change is None or kind_of(change.expected) is not Kind.EXPIRED:
            return change
        return replace(change, blob=change.expected)

    holds(expired_twice())
    monkeypatch.setattr(expiry, "_change_of", unless_expired)
    breaks(expired_twice(), "had been revoked")


def test_an_expiry_that_leaves_the_marker_of_a_load_lets_it_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of_nothing(deletion: Any, asked: Any, closing: Any, env: Any) -> Flow[Any]:
        kept = deletion._replace(keys=tuple(k for k in deletion.keys if k.startswith("~")))
        return (yield from delete(kept, asked, closing, env))

    monkeypatch.setattr(expiry, "delete", of_nothing)
    breaks(cast({"A.r1": loads()}, {"B.w1": expires}), STALE)


def test_an_entry_that_changed_meanwhile_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def once(keys: Any, changes_of: Any, rewritten: set[str], env: Any) -> Flow[None]:
        yield from commit_each((yield from changes_of(keys)), env)
        rewritten.update(keys)

    monkeypatch.setattr(expiry, "rewrite_each", once)
    breaks(expired_twice(), STALE)


def test_without_the_local_drop_a_process_serves_what_it_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers = {"A.r1": gets(), "A.r2": gets()}
    scenario = two_tiers(readers, {"A.w1": expires}, "broadcast", is_kept=True)
    holds(scenario)
    monkeypatch.setattr(expiry, "drop_copies", lambda *_: ())
    breaks(scenario, STALE)
