from __future__ import annotations

from dualcache.core.front_ports import NO_TIER


def test_without_a_front_tier_nothing_is_heard_and_no_proof_comes() -> None:
    woken: list[bool] = []
    assert not NO_TIER.ask_proof(lambda: woken.append(True))
    assert woken == []
    assert NO_TIER.mark("k") is None
