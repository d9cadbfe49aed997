"""Each rule of losses and of the bound on staleness taken out: the search must find it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.push.transports import TrackingTransport
from dualcache.engine import serve
from dualcache.engine.coherence import Coherence
from dualcache.front.gate import Gate
from dualcache.front.tier import Front
from tests.simulation.scenarios import deletes_key, gets, loads
from tests.simulation.searching import STALE, TRANSPORTS, breaks, holds, two_tiers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.scenario import Scenario


@TRANSPORTS
def test_without_the_flush_on_loss_copies_outlive_what_nobody_heard(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """The tier is emptied when a stream is lost and when one begins: either is enough, not none."""
    monkeypatch.setattr(Front, "_empty", lambda _: None)
    breaks(link_ends(transport), STALE)


@pytest.mark.parametrize("which", ["lost", "connected"])
def test_one_flush_of_the_two_is_enough(monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    empty, change = Front._empty, getattr(Front, which)

    def without_flush(self: Front, *args: Any, **options: Any) -> Any:
        monkeypatch.setattr(Front, "_empty", lambda _: None)
        try:
            return change(self, *args, **options)
        finally:
            monkeypatch.setattr(Front, "_empty", empty)

    monkeypatch.setattr(Front, which, without_flush)
    holds(link_ends("broadcast"))


def link_ends(transport: str) -> Scenario:
    return two_tiers(
        {"A.r1": gets()},
        {"B.w1": deletes_key},
        transport,
        is_kept=True,
        troubles=frozenset({"end of link"}),
        faults=1,
    )


def test_a_null_push_that_is_not_taken_for_all_keys_leaves_copies_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = Front.feed

    def only_names(self: Front, names: Iterable[str] | None) -> None:
        feed(self, names or [])

    monkeypatch.setattr(Front, "feed", only_names)
    scenario = two_tiers(
        {"A.r1": loads()},
        {"B.w1": deletes_key},
        "broadcast",
        is_kept=True,
        troubles=frozenset({"flush"}),
        faults=1,
    )
    breaks(scenario, STALE)


def test_a_data_connection_that_ends_unnoticed_takes_along_what_the_server_knew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Front, "broken", lambda _: None)
    breaks(connection_ends(), STALE)


def test_without_the_question_who_lives_an_idle_end_is_never_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TrackingTransport, "_listed", lambda *_: None)
    breaks(connection_ends(), STALE)


def connection_ends() -> Scenario:
    return two_tiers(
        {"A.r1": gets()},
        {"B.w1": deletes_key},
        "tracking",
        is_kept=True,
        troubles=frozenset({"reap"}),
        faults=1,
    )


@TRANSPORTS
def test_without_the_horizon_a_dead_link_keeps_the_tier_open(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr(
        Coherence, "open_until", property(horizonless, lambda *_: None), raising=False
    )
    breaks(link_falls_silent(transport), STALE)


def test_without_the_gate_a_compiled_wrapper_serves_while_the_link_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A loss empties the tier and closes the gate: the copies that are gone need no gate."""
    monkeypatch.setattr(
        Gate, "set", lambda self, **_: setattr(self.clock, "cell_contents", self._now)
    )
    holds(link_ends("broadcast"))
    monkeypatch.setattr(Front, "_empty", lambda _: None)
    breaks(link_ends("broadcast"), STALE)


def horizonless(self: Coherence) -> float:
    return inf if self.is_up else -inf


@TRANSPORTS
def test_a_horizon_counted_from_the_answer_is_too_late(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    proved = Front.proved

    def at_the_answer(self: Front, _: float) -> None:
        proved(self, self.now())

    monkeypatch.setattr(Front, "proved", at_the_answer)
    breaks(link_falls_silent(transport, beats=1), STALE)


def link_falls_silent(transport: str, **options: Any) -> Scenario:
    return two_tiers(
        {"A.r1": gets()},
        {"B.w1": deletes_key},
        transport,
        is_kept=True,
        troubles=frozenset({"silence"}),
        faults=1,
        jumps=1,
        shaky="A",
        **options,
    )


@TRANSPORTS
def test_without_the_bound_of_its_life_a_copy_outlives_its_entry(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr(serve, "keepable_ms", lambda *_: None)
    scenario = two_tiers(
        {"A.r1": gets()}, {}, transport, is_kept=True, jumps=1, ttl_ms=3_000, max_staleness=60.0
    )
    breaks(scenario, "outlived")
