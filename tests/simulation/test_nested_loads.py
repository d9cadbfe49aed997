"""A load reads a copy of another function: what it makes of it must not outlive an invalidation."""

from __future__ import annotations

import pytest

from dualcache.engine.coherence import Coherence
from tests.simulation.nested import deletes_both, loads_outer, nested
from tests.simulation.scenario import LINK_TROUBLES, Scenario
from tests.simulation.scenarios import deletes_tag, fences
from tests.simulation.searching import STALE, TRANSPORTS, breaks, holds_in_samples
from tests.simulation.test_exhaustive import holds_everywhere

TAG_OR_KEYS = pytest.mark.parametrize("writer", [deletes_tag, deletes_both])


def one_load(transport: str) -> Scenario:
    return nested({"A.r1": loads_outer(asks="inside")}, {"B.w1": deletes_both}, transport)


def test_a_load_is_made_of_no_copy_that_was_outdated_when_it_began() -> None:
    holds_everywhere(one_load("broadcast"))


@pytest.mark.storm
def test_a_load_whose_reads_are_tracked_is_made_of_no_outdated_copy() -> None:
    holds_everywhere(one_load("tracking"))


def test_a_load_that_is_served_any_copy_is_made_of_an_outdated_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Coherence, "may_serve_load", lambda *_: True)
    breaks(nested({"A.r1": loads_outer()}, {"B.w1": deletes_both}, "broadcast"), STALE)


def test_a_proof_that_was_asked_for_before_the_load_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Coherence, "may_serve_load", lambda self, _: self.heard > 0)
    readers = {"A.r1": loads_outer(asks="before")}
    breaks(nested(readers, {"B.w1": deletes_both}, "broadcast"), STALE)


def test_a_proof_counts_when_it_has_come_and_not_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Coherence, "may_serve_load", lambda self, load: self.asked > load.began)
    breaks(one_load("broadcast"), STALE)


@pytest.mark.storm
@TRANSPORTS
@TAG_OR_KEYS
def test_a_load_that_reads_three_copies(transport: str, writer: object) -> None:
    holds_everywhere(nested({"A.r1": loads_outer(3)}, {"B.w1": writer}, transport))


@pytest.mark.storm
@TRANSPORTS
def test_a_load_beside_a_fence_that_another_caller_waits_for(transport: str) -> None:
    readers = {"A.f1": fences, "A.r2": loads_outer()}
    holds_everywhere(nested(readers, {"B.w1": deletes_both}, transport))


@pytest.mark.storm
@TRANSPORTS
def test_a_load_that_reads_copies_with_any_one_loss(transport: str) -> None:
    holds_in_samples(one_load(transport)._replace(troubles=LINK_TROUBLES, faults=1))
