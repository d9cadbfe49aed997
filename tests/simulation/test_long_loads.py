"""Loads that take long: their leases are renewed, and successors load beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.ops import Claim
from tests.simulation import troubles
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, loads
from tests.simulation.searching import breaks, holds
from tests.simulation.values import TAG

if TYPE_CHECKING:
    from tests.simulation.actor import Actor


@pytest.mark.parametrize("kind", ["key", "tag"])
def test_a_lease_that_is_renewed_at_any_time_lets_nothing_in_that_was_revoked(kind: str) -> None:
    tags, writer = ((TAG,), deletes_tag) if kind == "tag" else ((), deletes_key)
    reader = loads(tags)
    holds(
        cast(
            {"A.r1": reader},
            {"B.w1": writer},
            troubles=frozenset({"renewal"}),
            faults=2,
        )
    )


@pytest.mark.parametrize("kind", ["key", "tag"])
def test_a_successor_beside_a_writer_stores_nothing_that_was_revoked(kind: str) -> None:
    tags, writer = ((TAG,), deletes_tag) if kind == "tag" else ((), deletes_key)
    reader = loads(tags, is_cold=True)
    holds(
        cast(
            {"A.r1": reader, "A.r2": reader},
            {"B.w1": writer},
            troubles=frozenset({"bound"}),
            faults=1,
        )
    )


def test_a_renewal_without_the_compare_brings_a_revoked_lease_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def plain(actor: Actor) -> Any:
        ((token, key),) = actor.op.keeping.renew.args[0].held.items()
        return Claim(key, token, 10_000)

    monkeypatch.setattr(troubles, "renewing", plain)
    breaks(
        cast({"A.r1": loads()}, {"B.w1": deletes_key}, troubles=frozenset({"renewal"}), faults=2),
        "had been revoked",
    )
