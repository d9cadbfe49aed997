"""The search itself: which orders it may leave out, and that it leaves out no state."""

from __future__ import annotations

from itertools import combinations
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.explorer import explore, replayed
from tests.simulation.footprint import Footprint, are_independent
from tests.simulation.scenario import LINK_TROUBLES, TROUBLES, Scenario
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, fences, gets, loads, sets
from tests.simulation.states import state_of
from tests.simulation.steps import apply, choices
from tests.simulation.values import TAG

if TYPE_CHECKING:
    from tests.simulation.scenario import Choice

STORED: dict[str, Any] = {"is_stored": True, "tags": (TAG,)}
ONE_TIER = cast(
    {"A.r1": loads((TAG,)), "A.r2": loads((TAG,), is_cold=True)},
    {"B.w1": sets((TAG,)), "A.w2": deletes_tag},
    troubles=TROUBLES,
    faults=1,
)
TRACKING = cast(
    {"A.r1": loads((TAG,)), "A.f2": fences, "B.r3": gets((TAG,))},
    {"B.w1": deletes_tag, "A.w2": deletes_key},
    transport="tracking",
    troubles=LINK_TROUBLES,
    faults=1,
    beats=1,
    jumps=1,
    **STORED,
)
CALM = TRACKING._replace(faults=0, beats=0, jumps=0)
SCENARIOS = {
    "one tier": ONE_TIER,
    "tracking": TRACKING,
    "tracking, calm": CALM,
    "broadcast, calm": CALM._replace(transport="broadcast"),
    "shared connections": CALM._replace(is_shared=True, is_sharded=True),
}


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_steps_that_do_not_touch_each_other_may_come_in_either_order(name: str) -> None:
    scenario, random = SCENARIOS[name], Random(7)
    for _ in range(2):
        path: list[Choice] = []
        while here := choices_after(scenario, path):
            touched = {choice: footprint_after(scenario, path, choice) for choice in here}
            for one, other in combinations(here, 2):
                if are_independent(touched[one], touched[other]):
                    assert ends_of(scenario, path, one, other) == ends_of(
                        scenario, path, other, one
                    )
            path.append(random.choice(here))


@pytest.mark.parametrize("transport", ["", "broadcast", "tracking"])
def test_no_state_is_left_out(transport: str) -> None:
    scenario = cast(
        {"A.r1": gets((TAG,)), "B.r2": gets((TAG,))},
        {"A.w1": deletes_tag},
        transport=transport,
        **STORED,
    )
    searched, compared = explore(scenario), explore(scenario, all_orders=True)
    assert searched.states == compared.states
    assert searched.steps < compared.steps


def choices_after(scenario: Scenario, path: list[Choice]) -> list[Choice]:
    world = replayed(scenario, path)
    found = choices(world)
    world.abandon()
    return found


def footprint_after(scenario: Scenario, path: list[Choice], choice: Choice) -> Footprint:
    world = replayed(scenario, path)
    apply(world, choice)
    world.abandon()
    return world.footprint


def ends_of(scenario: Scenario, path: list[Choice], *steps: Choice) -> int:
    world = replayed(scenario, path)
    for choice in steps:
        assert choice in choices(world)
        apply(world, choice)
    state = state_of(world)
    world.abandon()
    return state
