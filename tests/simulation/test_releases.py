"""Two releases whose types differ share a key: what lies beside an entry ends when that does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dualcache.core.entry import Tag
from dualcache.core.envelope import open_envelope
from dualcache.core.ops import Look
from dualcache.engine import lead, load
from dualcache.engine.beside import call_beside
from dualcache.engine.recovery import ask
from tests.simulation.scenarios import (
    cast,
    clears,
    deletes_key,
    deletes_pattern,
    gets,
    loads,
    refreshes,
    sets,
)
from tests.simulation.searching import (
    BOTH_TRANSPORTS,
    STALE,
    TRANSPORTS,
    breaks,
    holds,
    holds_in_samples,
    some_of,
)
from tests.simulation.values import BESIDE, KEY, NAMES, NEW, OLD

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from tests.simulation.scenario import Scenario
    from tests.simulation.scenarios import FlowOf

WRITERS = {
    "key": deletes_key,
    "pattern": deletes_pattern,
    "clear": clears,
    "set": sets(),
}


def side_by_side(readers: dict[str, Any], writers: dict[str, Any], **options: Any) -> Scenario:
    """Make a scenario in which an entry of a third release lies under the key."""
    return cast(readers, writers, names=(*NAMES, *BESIDE), is_stored=True, **options)


@pytest.mark.parametrize("is_cold", [False, True])
@pytest.mark.parametrize("kind", some_of(WRITERS, "key", "set"))
def test_each_release_sees_what_ends_the_entry_of_the_other(kind: str, is_cold: bool) -> None:
    readers = {
        "A.r1": loads(value_codec=OLD, is_cold=is_cold),
        "B.r2": loads(value_codec=NEW, is_cold=is_cold),
    }
    holds(side_by_side(readers, {"B.w1": WRITERS[kind]}))


def test_a_refresh_beside_the_entry_of_another_release() -> None:
    readers = {"A.r1": refreshes(value_codec=OLD), "B.r2": loads(value_codec=NEW)}
    holds(side_by_side(readers, {"B.w1": deletes_key}))


def reads_twice(second: FlowOf, process: str = "C") -> Scenario:
    """Make a scenario in which a release reads what it may have stored beside the entry."""
    readers = {"A.r1": loads(value_codec=OLD), f"{process}.r2": second}
    return side_by_side(readers, {"B.w1": sets()})


def test_a_release_that_reads_twice_beside_a_set() -> None:
    holds(reads_twice(loads(value_codec=OLD)))
    holds(reads_twice(gets(value_codec=OLD), "A"))


@pytest.mark.storm
def test_a_release_that_loads_twice_in_one_process_beside_a_set() -> None:
    holds(reads_twice(loads(value_codec=OLD), "A"))


def kept_in_front(first: FlowOf, second: FlowOf, transport: str) -> Scenario:
    readers = {"A.r1": first, "B.r2": second}
    return side_by_side(readers, {"B.w1": deletes_key}, transport=transport)


@pytest.mark.parametrize("transport", some_of(BOTH_TRANSPORTS, "tracking"))
def test_two_tiers_keep_nothing_that_lies_beside_another_entry(transport: str) -> None:
    holds(kept_in_front(gets(value_codec=OLD), loads(value_codec=NEW), transport))
    holds_in_samples(kept_in_front(loads(value_codec=OLD), loads(value_codec=NEW), transport))


@pytest.mark.storm
@TRANSPORTS
def test_two_releases_that_load_keep_nothing_that_lies_beside_another_entry(transport: str) -> None:
    holds(kept_in_front(loads(value_codec=OLD), loads(value_codec=NEW), transport))


def test_without_the_version_of_the_other_entry_what_lies_beside_it_outlives_an_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unbound(call: Call, read: Any, env: Any) -> Call | None:
        beside = call_beside(call, read, env)
        return None if beside is None else replace(beside, beside=())

    for module in (load, lead):
        monkeypatch.setattr(module, "call_beside", unbound)
    breaks(reads_twice(loads(value_codec=OLD)), STALE)


def test_a_version_that_is_read_after_the_load_hides_that_another_entry_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = lead._store

    def read_late(call: Call, *rest: Any) -> Flow[Any]:
        env = rest[-2]
        seen = yield from ask(Look(KEY), env)
        if call.beside and seen.raw is not None:
            version = open_envelope(KEY, seen.raw).version
            call = replace(call, beside=(Tag(call.beside[0].name, version),))
        return (yield from store(call, *rest))

    monkeypatch.setattr(lead, "_store", read_late)
    breaks(reads_twice(loads(value_codec=OLD)), STALE)
