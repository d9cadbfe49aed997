"""A process whose breaker is open beside one that is well: what it shares is never too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation import flows
from tests.simulation.scenarios import cast, deletes_key, loads, loads_cut_off
from tests.simulation.searching import STALE, breaks, holds, holds_in_samples

if TYPE_CHECKING:
    from dualcache.core.flight import Join
    from tests.simulation.actor import Actor
    from tests.simulation.scenario import Scenario
    from tests.simulation.world import World

CUT_OFF = loads_cut_off()


@pytest.mark.parametrize("is_cold", [False, True])
@pytest.mark.parametrize("trouble", ["cancel", "raised", "bound"])
def test_a_process_that_is_cut_off_serves_nothing_older_than_a_deletion_elsewhere(
    trouble: str, *, is_cold: bool
) -> None:
    reader = loads_cut_off(is_cold=is_cold)
    holds(
        cast(
            {"A.r1": reader, "A.r2": reader, "A.r3": reader},
            {"B.w1": deletes_key},
            is_one_by_one=True,
            troubles=frozenset({trouble, "cancel"}),
            faults=1,
        )
    )


def beside_one_that_is_well(*names: str) -> Scenario:
    readers = dict.fromkeys(names, CUT_OFF) | {"B.r": loads()}
    troubles = frozenset({"cancel"})
    return cast(readers, {"B.w1": deletes_key}, troubles=troubles, faults=1)


def test_a_reader_elsewhere_goes_on_storing_meanwhile() -> None:
    holds(beside_one_that_is_well("A.r1"))
    holds_in_samples(beside_one_that_is_well("A.r1", "A.r2"))


@pytest.mark.storm
def test_a_reader_elsewhere_goes_on_storing_beside_two_that_are_cut_off() -> None:
    holds(beside_one_that_is_well("A.r1", "A.r2"))


def test_a_deletion_of_its_own_is_kept_and_counts_all_the_same() -> None:
    holds(
        cast(
            {"A.r1": CUT_OFF, "A.r2": CUT_OFF},
            {"A.w1": deletes_key},
            troubles=frozenset({"cancel"}),
            faults=1,
        )
    )


def joining(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Have callers ask for flights in another way."""
    join = flows.join

    def changed(world: World, actor: Actor, op: Join) -> Any:
        for name, value in changes.items():
            setattr(op, name, value)
        required = actor.required
        reply = join(world, actor, op)
        actor.required = required
        return reply

    monkeypatch.setattr(flows, "join", changed)


def test_a_load_that_began_earlier_must_not_be_shared_while_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joining(monkeypatch, is_lenient=True)
    breaks(
        cast(
            {"A.r1": CUT_OFF, "A.r2": CUT_OFF},
            {"B.w1": deletes_key},
            troubles=frozenset({"cancel"}),
            faults=1,
        ),
        STALE,
    )


def test_without_the_wait_every_caller_loads_for_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    joining(monkeypatch, is_patient=False)
    breaks(
        cast(
            {"A.r1": CUT_OFF, "A.r2": CUT_OFF, "A.r3": CUT_OFF},
            {},
            is_one_by_one=True,
            troubles=frozenset({"cancel"}),
            faults=1,
        ),
        "loads beside",
    )
