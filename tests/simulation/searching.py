"""Searches that must find a broken rule, and such that must find none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.simulation.explorer import explore
from tests.simulation.scenarios import cast, deletes_tag
from tests.simulation.values import TAG

if TYPE_CHECKING:
    from tests.simulation.scenario import Scenario

MOST_STATES: Final = 150_000
STALE: Final = "acknowledged"
TRANSPORTS = pytest.mark.parametrize("transport", ["broadcast", "tracking"])


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


def holds(scenario: Scenario) -> None:
    found = explore(scenario)
    assert not found.violation, found.story
    assert found.is_complete
