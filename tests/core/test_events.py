from __future__ import annotations

from dualcache.core.events import Cleared, Invalidated


def test_what_a_clear_returns_may_be_awaited_and_waits_for_nothing() -> None:
    cleared = Cleared("load", keys=1, tags=2, patterns=3, removed=4, pending=5)
    steps = cleared.__await__()
    try:
        next(steps)
    except StopIteration as end:
        awaited = end.value
    else:
        raise AssertionError("it waited")
    assert awaited == Invalidated("load", keys=1, tags=2, patterns=3, removed=4, pending=5)
