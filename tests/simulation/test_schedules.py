"""Longer schedules of larger casts, drawn by chance; a failure is shrunk as far as it goes."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.explorer import run
from tests.simulation.scenarios import (
    TAG,
    cast,
    clears,
    deletes_key,
    deletes_pattern,
    deletes_tag,
    loads,
    sets,
)
from tests.simulation.world import TROUBLES

SCHEDULES = st.lists(st.integers(0, 29), max_size=140)
CALM = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
TAGGED = loads((TAG,), stale_if_error_ms=60_000)
COLD = loads((TAG,), is_cold=True)
FLEET = cast(
    {"A.r1": TAGGED, "A.r2": COLD, "B.r3": TAGGED, "B.r4": COLD, "A.r5": TAGGED},
    {"A.w1": deletes_tag, "B.w2": deletes_key, "A.w3": deletes_pattern, "B.w4": clears},
    troubles=TROUBLES,
    faults=6,
)
SETTERS = cast(
    {"A.r1": TAGGED, "A.r2": COLD, "B.r3": TAGGED, "B.r4": COLD},
    {"A.w1": sets((TAG,)), "B.w2": deletes_key, "A.w3": sets((TAG,)), "B.w4": deletes_tag},
    troubles=TROUBLES,
    faults=6,
)


@CALM
@given(SCHEDULES)
def test_no_schedule_of_loads_and_invalidations_serves_a_stale_value(schedule: list[int]) -> None:
    run(FLEET, schedule)


@CALM
@given(SCHEDULES)
def test_no_schedule_of_loads_and_sets_serves_a_stale_value(schedule: list[int]) -> None:
    run(SETTERS, schedule)


@CALM
@given(SCHEDULES)
def test_keys_and_tags_on_different_nodes_change_nothing(schedule: list[int]) -> None:
    run(FLEET._replace(is_sharded=True), schedule)
