"""Every schedule of small casts: what each bound is, its test says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.explorer import explore
from tests.simulation.scenario import TROUBLES, Scenario
from tests.simulation.scenarios import (
    FlowOf,
    cast,
    clears,
    clears_function,
    deletes_key,
    deletes_pattern,
    deletes_tag,
    gets,
    loads,
    refreshes,
    sets,
    sets_if_absent,
)
from tests.simulation.searching import holds_in_samples, some_of
from tests.simulation.values import OWNER, TAG

WRITERS = {
    "key": deletes_key,
    "tag": deletes_tag,
    "pattern": deletes_pattern,
    "clear": clears,
    "set": sets(),
}
KINDS = pytest.mark.parametrize("kind", list(WRITERS))
FEW_KINDS = pytest.mark.parametrize("kind", ["key", "tag", "set"])
DELETIONS = pytest.mark.parametrize("kind", ["key", "tag"])
SCANS = pytest.mark.parametrize("kind", ["pattern", "clear"])


def tags_of(kind: str) -> tuple[str, ...]:
    return (TAG,) if kind == "tag" else ()


def holds_everywhere(scenario: Scenario) -> None:
    found = explore(scenario)
    assert not found.violation, f"{found.violation}\n{found.story}"
    assert found.is_complete


def deleted_twice(readers: dict[str, FlowOf]) -> Scenario:
    return cast(readers, {"A.w1": deletes_key, "B.w2": deletes_key}, is_stored=True)


def test_two_processes_two_readers_and_two_writers_of_a_stored_key() -> None:
    holds_everywhere(deleted_twice({"A.r1": loads(), "B.r2": gets()}))
    holds_in_samples(deleted_twice({"A.r1": loads(), "B.r2": loads()}))


@pytest.mark.storm
def test_two_processes_two_loads_and_two_writers_of_a_stored_key() -> None:
    holds_everywhere(deleted_twice({"A.r1": loads(), "B.r2": loads()}))


def test_a_set_beside_an_invalidation_and_a_reader() -> None:
    holds_everywhere(cast({"A.r1": loads()}, {"A.w1": sets(), "B.w2": deletes_key}))


@FEW_KINDS
def test_two_readers_of_one_process_share_a_flight_beside_a_writer_elsewhere(kind: str) -> None:
    reader = loads(tags_of(kind))
    holds_everywhere(cast({"A.r1": reader, "A.r2": reader}, {"B.w1": WRITERS[kind]}))


@FEW_KINDS
def test_two_readers_that_lease_at_once_share_a_flight_beside_a_writer_of_theirs(kind: str) -> None:
    reader = loads(tags_of(kind), is_cold=True)
    holds_everywhere(cast({"A.r1": reader, "A.r2": reader}, {"A.w1": WRITERS[kind]}))


@FEW_KINDS
def test_one_reader_and_one_writer_with_any_one_trouble(kind: str) -> None:
    reader = loads(tags_of(kind))
    holds_everywhere(cast({"A.r1": reader}, {"B.w1": WRITERS[kind]}, troubles=TROUBLES, faults=1))


@pytest.mark.parametrize("kind", some_of(["key", "tag", "set"], "key", "tag"))
def test_a_reader_and_a_writer_of_one_process_with_any_one_trouble(kind: str) -> None:
    reader = loads(tags_of(kind))
    holds_everywhere(cast({"A.r1": reader}, {"A.w1": WRITERS[kind]}, troubles=TROUBLES, faults=1))


def test_a_reader_and_a_writer_that_scans() -> None:
    holds_everywhere(cast({"A.r1": loads(), "B.r2": gets()}, {"B.w1": deletes_pattern}))


def added_and_deleted(**options: Any) -> Scenario:
    writers = {"A.w1": sets_if_absent(), "B.w2": deletes_key}
    return cast({"A.r1": gets()}, writers, **options)


def test_an_addition_beside_an_invalidation() -> None:
    holds_everywhere(added_and_deleted())
    holds_in_samples(added_and_deleted(troubles=TROUBLES, faults=1))


@pytest.mark.storm
def test_an_addition_beside_an_invalidation_with_any_one_trouble() -> None:
    holds_everywhere(added_and_deleted(troubles=TROUBLES, faults=1))


def test_a_reader_and_a_writer_that_clears_its_function() -> None:
    reader = loads(owner=OWNER)
    holds_everywhere(cast({"A.r1": reader, "B.r2": gets()}, {"B.w1": clears_function}))


CLEARED = cast(
    {"A.r1": loads(owner=OWNER, stale_if_error_ms=60_000)},
    {"A.w1": clears_function},
    troubles=TROUBLES,
    faults=1,
)


def test_many_schedules_of_a_reader_whose_function_is_cleared_with_one_trouble() -> None:
    holds_in_samples(CLEARED)


@pytest.mark.storm
def test_a_reader_whose_function_is_cleared_with_any_one_trouble() -> None:
    holds_everywhere(CLEARED)


@pytest.mark.parametrize("kind", some_of(["key", "set"], "key"))
def test_a_refresh_that_stores_nothing_beside_a_writer_with_any_one_trouble(kind: str) -> None:
    reader = refreshes(condition=lambda _: False)
    writers = {"B.w1": WRITERS[kind]}
    holds_everywhere(cast({"A.r1": reader}, writers, is_stored=True, troubles=TROUBLES, faults=1))


@FEW_KINDS
def test_keys_and_tags_on_different_nodes(kind: str) -> None:
    reader = loads(tags_of(kind))
    holds_everywhere(
        cast({"A.r1": reader, "B.r2": reader}, {"A.w1": WRITERS[kind]}, is_sharded=True)
    )


def test_stale_entries_are_loaded_anew_beside_a_writer_with_any_one_trouble() -> None:
    reader = loads(stale_if_error_ms=60_000)
    holds_everywhere(cast({"A.r1": reader}, {"B.w1": deletes_key}, troubles=TROUBLES, faults=1))


@pytest.mark.storm
@SCANS
def test_two_readers_of_one_process_and_a_scanning_writer(kind: str) -> None:
    for is_cold, writer in ((False, "B.w1"), (True, "A.w1")):
        reader = loads(is_cold=is_cold)
        holds_everywhere(cast({"A.r1": reader, "A.r2": reader}, {writer: WRITERS[kind]}))


@pytest.mark.storm
@SCANS
def test_one_reader_and_one_scanning_writer_with_any_one_trouble(kind: str) -> None:
    for writer in ("A.w1", "B.w1"):
        writers = {writer: WRITERS[kind]}
        holds_everywhere(cast({"A.r1": loads()}, writers, troubles=TROUBLES, faults=1))


@pytest.mark.storm
@DELETIONS
def test_two_processes_two_readers_two_writers_and_no_trouble(kind: str) -> None:
    reader, writer = loads(tags_of(kind)), WRITERS[kind]
    holds_everywhere(cast({"A.r1": reader, "B.r2": reader}, {"A.w1": writer, "B.w2": writer}))


@pytest.mark.storm
@FEW_KINDS
def test_two_readers_and_a_writer_with_any_one_trouble(kind: str) -> None:
    holds_everywhere(
        cast(
            {"A.r1": loads(tags_of(kind), stale_if_error_ms=60_000), "B.r2": gets(tags_of(kind))},
            {"B.w1": WRITERS[kind]},
            troubles=TROUBLES,
            faults=1,
        )
    )


@pytest.mark.storm
@DELETIONS
def test_one_reader_and_one_writer_with_any_two_troubles(kind: str) -> None:
    holds_everywhere(
        cast({"A.r1": loads(tags_of(kind))}, {"B.w1": WRITERS[kind]}, troubles=TROUBLES, faults=2)
    )
