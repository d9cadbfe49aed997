"""Searches that must find a broken rule, and such that must find none."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.simulation.explorer import explore, run
from tests.simulation.scenarios import cast, deletes_tag
from tests.simulation.values import TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.scenario import Scenario

MOST_STATES: Final = 150_000
SAMPLES: Final = 200
LONGEST: Final = 80
STALE: Final = "acknowledged"
BOTH_TRANSPORTS: Final = ("broadcast", "tracking")
TRANSPORTS = pytest.mark.parametrize("transport", BOTH_TRANSPORTS)


def breaks(scenario: Scenario, what: str) -> None:
    """Fail unless some schedule breaks a rule, as `what` says, and can be read as a story."""
    found = explore(scenario, MOST_STATES)
    assert what in found.violation, f"not found in {found.states} states"
    assert found.story.endswith(f"broken      {found.violation}")


def two_tiers(
    readers: dict[str, Any], writers: dict[str, Any], transport: str, **options: Any
) -> Scenario:
    """Make a scenario whose entry lies in Redis, with a tag if a writer deletes that."""
    tags = (TAG,) if deletes_tag in writers.values() else ()
    return cast(readers, writers, transport=transport, is_stored=True, tags=tags, **options)


def some_of(cases: Iterable[str], *few: str) -> list[Any]:
    """Return the cases of a test: all but `few` are searched with `-m storm` alone."""
    return [pytest.param(it, marks=() if it in few else pytest.mark.storm) for it in cases]


def holds(scenario: Scenario) -> None:
    found = explore(scenario)
    assert not found.violation, found.story
    assert found.is_complete


def holds_in_samples(scenario: Scenario) -> None:
    """Follow schedules drawn from all there are, the same each time: a search behind `-m storm`
    takes them all.
    """
    for seed in range(SAMPLES):
        draw = Random(seed).randrange
        run(scenario, [draw(1_000) for _ in range(LONGEST)])
