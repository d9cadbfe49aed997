"""A key that is held around a commit: every schedule of small casts, and without its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache.core.ops import Claim
from dualcache.engine import start_over
from dualcache.engine.acquire import after_claim
from dualcache.engine.invalidation import invalidate
from dualcache.engine.leases import take_together
from dualcache.engine.starting import Start
from tests.simulation.scenario import TROUBLES, Scenario
from tests.simulation.scenarios import cast, deletes_key, gets, loads, refreshes
from tests.simulation.searching import STALE, breaks, holds, holds_in_samples, two_tiers
from tests.simulation.values import KEY

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from tests.simulation.actor import Actor
    from tests.simulation.scenarios import FlowOf
    from tests.simulation.world import World


def commits_under_a_hold(*, is_invalidated_after: bool = True) -> FlowOf:
    """Hold the key, commit a new version of the source, and invalidate once more."""

    def flow(world: World, actor: Actor) -> Flow[Any]:
        env = actor.process.env
        done = yield from invalidate((KEY,), (), (), env, hold_ms=60_000)
        world.version += 1
        world.versions[actor.role.name] = world.version
        world.footprint.writes.add("version")
        if is_invalidated_after:
            done = yield from invalidate((KEY,), (), (), env)
        return done

    return flow


WRITER = commits_under_a_hold()
WITHOUT_A_SECOND = commits_under_a_hold(is_invalidated_after=False)
COPIES = two_tiers({"A.r1": gets(), "B.r2": gets()}, {"A.w1": WRITER}, "tracking", is_kept=True)


def evicted(writer: FlowOf) -> Scenario:
    """Make a scenario in which the server may evict a hold, as it may anything."""
    troubles = frozenset({"evict"})
    return cast({"A.r1": loads()}, {"B.w1": writer}, is_stored=True, troubles=troubles, faults=1)


def test_a_hold_and_a_second_invalidation_around_a_commit() -> None:
    holds(cast({"A.r1": loads(), "B.r2": gets()}, {"B.w1": WRITER}, is_stored=True))
    holds(cast({"A.r1": refreshes()}, {"B.w1": WRITER}, is_stored=True))


@pytest.mark.storm
def test_two_loads_and_a_hold_around_a_commit() -> None:
    holds(cast({"A.r1": loads(), "B.r2": loads()}, {"B.w1": WRITER}, is_stored=True))


@pytest.mark.storm
def test_any_one_trouble_around_a_commit() -> None:
    for writer in ("A.w1", "B.w1"):
        holds(cast({"A.r1": loads()}, {writer: WRITER}, troubles=TROUBLES, faults=1))


TWO_WRITERS: Final = {"B.w1": WRITER, "A.w2": deletes_key}


def test_a_hold_beside_a_plain_invalidation() -> None:
    holds(cast({"A.r1": gets()}, TWO_WRITERS, is_stored=True))
    holds_in_samples(cast({"A.r1": loads()}, TWO_WRITERS))


@pytest.mark.storm
def test_a_load_and_a_hold_beside_a_plain_invalidation() -> None:
    holds(cast({"A.r1": loads()}, TWO_WRITERS))


def test_a_hold_beside_copies() -> None:
    holds(two_tiers({"A.r1": gets()}, {"B.w1": WRITER}, "tracking", is_kept=True))
    holds_in_samples(COPIES)


@pytest.mark.storm
def test_a_hold_beside_copies_in_two_processes() -> None:
    holds(COPIES)


def test_a_refresh_that_claims_without_a_compare_takes_a_hold_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unconditional(call: Any, read: Any, sent: Any, env: Any) -> Flow[Any]:
        (leased,) = yield from take_together(Claim, (call,), env, sent, read.ids)
        return Start(after_claim(call, leased), leased.filling)

    scenario = cast({"A.r1": refreshes()}, {"B.w1": WRITER})
    holds(scenario)
    monkeypatch.setattr(start_over, "_claim", unconditional)
    breaks(scenario, "in the place of a hold")


def test_a_hold_without_the_second_invalidation_is_not_enough() -> None:
    """What is held may be evicted, and a load that read the source before the commit is stored."""
    holds(evicted(WRITER))
    breaks(evicted(WITHOUT_A_SECOND), STALE)
