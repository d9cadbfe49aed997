"""How fast the server answers, and what time it has."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from dualcache.doctor.findings import fault, good, unknown, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache.doctor.asking import Node
    from dualcache.doctor.findings import Finding

PINGS: Final = 100
SLOW_MS: Final = 5.0
LATE_MS: Final = 50.0
SKEWED_SECONDS: Final = 1.0
WRONG_SECONDS: Final = 30.0


def examine_timing(node: Node, now: Callable[[], float]) -> Iterator[Finding]:
    """Measure round trips, and compare the clocks."""
    times = sorted(round_trip(node) for _ in range(PINGS))
    p50, p99 = times[PINGS // 2], times[-max(1, PINGS // 100) - 1]
    told = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms of {PINGS} round trips"
    if p50 > SLOW_MS:
        yield warning("latency", told, "run program and server near each other; try a front tier")
    elif p99 > LATE_MS:
        yield warning("latency", told, "look for slow commands (SLOWLOG GET) and swapping")
    else:
        yield good("latency", told)
    yield clock(node, now)


def round_trip(node: Node) -> float:
    """Return the ms of one PING; a refusal has travelled as far."""
    began = perf_counter()
    node.answer("PING")
    return (perf_counter() - began) * 1000


def clock(node: Node, now: Callable[[], float]) -> Finding:
    """Compare the server's clock with that of this machine."""
    before = now()
    try:
        told = node.client.time()
    except RedisError:
        return unknown("clock", "the server does not answer TIME", "allow +time")
    middle = (before + now()) / 2
    skew = told[0] + told[1] / 1_000_000 - middle
    if abs(skew) <= SKEWED_SECONDS:
        return good("clock", "the same as here, to a second")
    side = "ahead of" if skew > 0 else "behind"
    cause = f"{abs(skew):.0f} s {side} this machine: entries are refreshed too early or too late"
    fix = "set both clocks by NTP (chronyc tracking tells which one is wrong)"
    make = fault if abs(skew) > WRONG_SECONDS else warning
    return make("clock", cause, fix)
