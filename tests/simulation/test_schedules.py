"""Longer schedules of larger casts, drawn by chance; a failure is shrunk as far as it goes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualcache.engine import attempts, closing
from tests.simulation.explorer import run
from tests.simulation.scenario import LINK_TROUBLES, TROUBLES
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
from tests.simulation.searching import STALE
from tests.simulation.values import TAG, Violation

SCHEDULES = st.lists(st.integers(0, 29), min_size=40, max_size=140)
LONGER = st.lists(st.integers(0, 29), min_size=60, max_size=220)
CALM = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
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
OF_RESULT = loads(tags_of=lambda *_: (TAG,), stale_if_error_ms=60_000)
RESULTS = cast(
    {"A.r1": OF_RESULT, "A.r2": OF_RESULT, "B.r3": OF_RESULT, "B.r4": OF_RESULT},
    {"A.w1": deletes_tag, "B.w2": deletes_tag, "A.w3": deletes_tag},
    troubles=TROUBLES,
    faults=4,
)
ANEW = refreshes((TAG,), stale_if_error_ms=60_000)
REFRESHERS = cast(
    {"A.r1": TAGGED, "A.r2": ANEW, "B.r3": ANEW, "B.r4": COLD, "A.r5": TAGGED},
    {"A.w1": deletes_tag, "B.w2": deletes_key, "A.w3": sets((TAG,))},
    troubles=TROUBLES,
    faults=6,
)
OUTAGE = cast(
    {"A.r1": TAGGED, "A.r2": COLD, "A.r3": TAGGED, "A.r4": COLD, "B.r5": TAGGED},
    {"A.w1": deletes_tag, "A.w2": deletes_key, "A.w3": sets((TAG,))},
    troubles=frozenset({"lost request", "timeout", "cut", "pause over", "cancel"}),
    faults=14,
)
LINKED = FLEET._replace(
    transport="tracking",
    tags=(TAG,),
    is_stored=True,
    troubles=TROUBLES | LINK_TROUBLES,
    beats=3,
    jumps=3,
    jump=2.0,
)
KEEPERS = cast(
    {"A.r1": gets((TAG,)), "A.r2": TAGGED, "A.f3": fences, "B.r4": gets(), "B.r5": COLD},
    {"A.w1": deletes_tag, "B.w2": deletes_key, "B.w3": deletes_tag},
    transport="tracking",
    tags=(TAG,),
    is_stored=True,
    is_kept=True,
    ttl_ms=9_000,
    troubles=LINK_TROUBLES,
    faults=5,
    beats=3,
    jumps=4,
    jump=2.0,
)
LINKED_SETTERS = SETTERS._replace(
    transport="tracking", troubles=TROUBLES | LINK_TROUBLES, beats=2, jumps=2
)
TWO_TIERS = {
    "loads and invalidations": LINKED,
    "copies and fences": KEEPERS,
    "loads and sets": LINKED_SETTERS,
}
CASTS = {
    "loads and invalidations": FLEET,
    "loads and sets": SETTERS,
    "tags of the result": RESULTS,
    "refreshes": REFRESHERS,
    "an outage": OUTAGE,
}


@pytest.mark.parametrize("name", list(CASTS))
@CALM
@given(schedule=SCHEDULES, is_sharded=st.booleans())
def test_no_schedule_serves_a_stale_value(
    name: str, schedule: list[int], *, is_sharded: bool
) -> None:
    run(CASTS[name]._replace(is_sharded=is_sharded), schedule)


@pytest.mark.parametrize("name", list(TWO_TIERS))
@CALM
@given(schedule=LONGER, is_shared=st.booleans(), is_tracked=st.booleans())
def test_no_schedule_of_two_tiers_serves_a_stale_value(
    name: str, schedule: list[int], *, is_shared: bool, is_tracked: bool
) -> None:
    transport = "tracking" if is_tracked else "broadcast"
    run(TWO_TIERS[name]._replace(is_shared=is_shared, transport=transport), schedule)


@pytest.mark.storm
@pytest.mark.parametrize("name", list(TWO_TIERS))
@settings(CALM, max_examples=10_000)
@given(schedule=LONGER, flags=st.tuples(*[st.booleans()] * 3))
def test_no_schedule_of_two_tiers_among_many_serves_a_stale_value(
    name: str, schedule: list[int], flags: tuple[bool, ...]
) -> None:
    transport = "tracking" if flags[0] else "broadcast"
    scenario = TWO_TIERS[name]._replace(is_shared=flags[1], is_sharded=flags[2])
    run(scenario._replace(transport=transport), schedule)


@pytest.mark.storm
@pytest.mark.parametrize("name", list(CASTS))
@settings(CALM, max_examples=10_000)
@given(schedule=SCHEDULES, is_sharded=st.booleans())
def test_no_schedule_among_many_serves_a_stale_value(
    name: str, schedule: list[int], *, is_sharded: bool
) -> None:
    run(CASTS[name]._replace(is_sharded=is_sharded), schedule)


CUT_SEARCHES = [
    *(26, 10, 26, 1, 24, 6, 1, 18, 19, 16, 13, 0, 0, 15, 0, 0, 4, 0, 0, 0),
    *(0, 0, 0, 0, 1, 23, 23, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 20),
]
"""A clear is not delivered; its replay is cut twice, and the read after that is answered."""


def test_a_search_that_is_cut_by_chance_comes_before_the_next_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = LINKED._replace(is_shared=True, transport="broadcast")
    run(scenario, CUT_SEARCHES)
    monkeypatch.setattr(closing, "SEARCHES_TO_BE_SURE", 1)
    # The smallest search is answered here, so that alone saves it.
    run(scenario, CUT_SEARCHES)
    monkeypatch.setattr(attempts, "smallest_search", lambda *_: None)
    with pytest.raises(Violation, match=STALE):
        run(scenario, CUT_SEARCHES)
