"""Flows in the background as threads: how one begins."""

from __future__ import annotations

from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

from dualcache.core.background import SpawnReply

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.background import Spawn
    from dualcache.core.flight import Join
    from dualcache.core.ops import Flow
    from dualcache.drivers.background import Background
    from dualcache.drivers.flights import FlightTable


__all__ = ["start_beside"]


def start_beside(
    op: Spawn, background: Background, flights: FlightTable, run: Callable[..., Any]
) -> SpawnReply:
    """Run a flow in a separate thread, in a copy of this context."""
    if op.join is None:
        work = partial(run, op.flow)
        return background.start_thread((op.key, *op.others), work, is_awaited=op.is_awaited)
    join = flights.hand_over(op.join)
    try:
        work = partial(_lead, op.flow, join, run)
        reply = background.start_thread((op.key,), work, is_awaited=True)
    except BaseException:  # a signal handler may raise anywhere here
        flights.abandon([join])
        raise
    if reply is not SpawnReply.STARTED:
        flights.hand_back(join, op.join)
    return reply


def _lead(flow: Flow[Any], join: Join, run: Callable[..., Any]) -> None:
    flight = join.led
    if flight is not None:  # what runs in the caller's thread may wait for it now
        flight.threads[:] = [get_ident()]
    run(flow, joins=[join])
