"""Every schedule of small casts over two tiers: what each bound is, its test says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.scenario import LINK_TROUBLES, LOCAL_TROUBLES, Scenario
from tests.simulation.scenarios import (
    cast,
    clears,
    deletes_key,
    deletes_pattern,
    deletes_tag,
    fences,
    gets,
    loads,
    refreshes,
    sets,
)
from tests.simulation.searching import holds_in_samples
from tests.simulation.test_exhaustive import holds_everywhere
from tests.simulation.values import TAG

WRITERS = {
    "key": deletes_key,
    "tag": deletes_tag,
    "pattern": deletes_pattern,
    "clear": clears,
    "set": sets(),
}
DELETIONS = pytest.mark.parametrize("kind", ["key", "tag"])
KINDS = pytest.mark.parametrize("kind", ["key", "tag", "set"])
ALL_KINDS = pytest.mark.parametrize("kind", list(WRITERS))
TRANSPORTS = pytest.mark.parametrize("transport", ["broadcast", "tracking"])


def two_tiers(
    kind: str, readers: dict[str, Any], writers: tuple[str, ...], transport: str, **options: Any
) -> Scenario:
    """Make a scenario whose entry lies in Redis, with a tag if writers of this kind concern it."""
    tags = (TAG,) if "tag" in kind else ()
    options = {"is_stored": True, "tags": tags, "transport": transport} | options
    made = {
        name: reader(tags) if reader is not fences else reader for name, reader in readers.items()
    }
    return cast(made, dict.fromkeys(writers, WRITERS[kind]), **options)


def deleted_twice(kind: str, transport: str) -> Scenario:
    readers = {"A.r1": gets, "B.r2": gets}
    return two_tiers(kind, readers, ("A.w1", "B.w2"), transport)


@TRANSPORTS
def test_two_processes_two_readers_two_writers(transport: str) -> None:
    holds_everywhere(deleted_twice("tag", transport))
    holds_in_samples(deleted_twice("key", transport))


@TRANSPORTS
def test_a_reader_that_loads_beside_one_that_keeps(transport: str) -> None:
    readers = {"A.r1": gets, "B.r2": loads}
    holds_everywhere(two_tiers("key", readers, ("A.w1",), transport))


@TRANSPORTS
@KINDS
def test_two_readers_of_a_process_that_invalidates(kind: str, transport: str) -> None:
    readers = {"A.r1": gets, "A.r2": gets}
    holds_everywhere(two_tiers(kind, readers, ("A.w1",), transport, is_kept=True))


@TRANSPORTS
def test_callers_that_share_a_connection(transport: str) -> None:
    readers = {"A.r1": gets, "A.r2": loads}
    holds_everywhere(two_tiers("tag", readers, ("B.w1",), transport, is_shared=True))


@TRANSPORTS
def test_keys_and_tags_on_different_nodes(transport: str) -> None:
    readers = {"A.r1": gets, "B.r2": gets}
    holds_everywhere(two_tiers("tag", readers, ("A.w1",), transport, is_sharded=True))


@TRANSPORTS
@KINDS
def test_one_loss_beside_a_reader_and_a_writer(kind: str, transport: str) -> None:
    holds_everywhere(
        two_tiers(
            kind,
            {"A.r1": gets},
            ("B.w1",),
            transport,
            is_kept=True,
            troubles=LINK_TROUBLES,
            faults=1,
        )
    )


def silent(transport: str, troubles: frozenset[str]) -> Scenario:
    options: dict[str, Any] = {"troubles": troubles, "faults": 1, "jumps": 1, "beats": 1}
    return two_tiers(
        "key", {"A.r1": gets}, ("B.w1",), transport, is_kept=True, shaky="A", **options
    )


SILENCE = frozenset({"silence"})


@TRANSPORTS
def test_many_schedules_of_a_link_that_falls_silent_while_the_clock_goes_on(
    transport: str,
) -> None:
    holds_in_samples(silent(transport, SILENCE))


@pytest.mark.storm
@TRANSPORTS
def test_a_link_falls_silent_while_the_clock_goes_on_and_a_proof_is_asked_for(
    transport: str,
) -> None:
    holds_everywhere(silent(transport, SILENCE))


@pytest.mark.storm
@TRANSPORTS
def test_any_loss_while_the_clock_goes_on_and_a_proof_is_asked_for(transport: str) -> None:
    holds_everywhere(silent(transport, LINK_TROUBLES))


@TRANSPORTS
def test_any_trouble_of_a_reader_of_the_process_that_invalidates(transport: str) -> None:
    options: dict[str, Any] = {"troubles": LOCAL_TROUBLES, "faults": 1}
    holds_everywhere(two_tiers("key", {"A.r1": gets}, ("A.w1",), transport, **options))


@TRANSPORTS
def test_a_fence_beside_a_reader_and_a_writer_elsewhere(transport: str) -> None:
    readers = {"A.r1": gets, "A.f2": fences}
    holds_everywhere(two_tiers("key", readers, ("B.w1",), transport, is_kept=True))


@TRANSPORTS
def test_copies_end_with_their_entry(transport: str) -> None:
    readers = {"A.r1": gets, "B.r2": gets}
    options: dict[str, Any] = {"ttl_ms": 3_000, "max_staleness": 60.0, "jumps": 1, "jump": 2.0}
    holds_everywhere(two_tiers("key", readers, (), transport, **options | {"jumps": 2}))


@pytest.mark.storm
@TRANSPORTS
@ALL_KINDS
def test_two_processes_two_readers_and_two_writers_of_any_kind(kind: str, transport: str) -> None:
    holds_everywhere(deleted_twice(kind, transport))


@pytest.mark.storm
@TRANSPORTS
@DELETIONS
def test_two_processes_two_readers_of_which_one_loads_and_two_writers(
    kind: str, transport: str
) -> None:
    readers = {"A.r1": gets, "B.r2": loads}
    holds_everywhere(two_tiers(kind, readers, ("A.w1", "B.w2"), transport))


@pytest.mark.storm
@TRANSPORTS
@KINDS
def test_two_readers_and_a_writer_with_any_one_loss(kind: str, transport: str) -> None:
    readers = {"A.r1": gets, "A.r2": gets}
    options: dict[str, Any] = {"troubles": LINK_TROUBLES, "faults": 1}
    holds_everywhere(two_tiers(kind, readers, ("B.w1",), transport, is_kept=True, **options))


@pytest.mark.storm
@TRANSPORTS
def test_any_two_losses_beside_a_reader_and_a_writer(transport: str) -> None:
    options: dict[str, Any] = {"troubles": LINK_TROUBLES, "faults": 2}
    holds_everywhere(
        two_tiers("key", {"A.r1": gets}, ("B.w1",), transport, is_kept=True, **options)
    )


@pytest.mark.storm
@TRANSPORTS
def test_a_refresh_beside_a_reader_and_a_writer(transport: str) -> None:
    readers = {"A.r1": gets, "B.r2": refreshes}
    holds_everywhere(two_tiers("tag", readers, ("A.w1",), transport, is_kept=True))
