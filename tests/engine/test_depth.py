"""How deep the generators of a miss are nested: each one is a hop for every op below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.flight import EndFlight, Join, Load
from dualcache.core.ops import Commit, CommitReply, Loaded, Look, LookAndLease, Op, RawRead
from dualcache.engine.load import get_or_load
from tests.engine.conversation import call, cold, lead, surroundings

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call

MOST_AT_LEASE = 9
MOST_AT_COMMIT = 8


@pytest.mark.parametrize("asked", [call(), cold()], ids=["looks-first", "leases-at-once"])
def test_a_plain_miss_nests_few_generators(asked: Call) -> None:
    env, _ = surroundings()
    depths = depths_of(get_or_load(asked, env))
    told = {op.__name__: " > ".join(names) for op, names in depths.items()}
    assert len(depths[LookAndLease]) <= MOST_AT_LEASE, told
    assert len(depths[Commit]) <= MOST_AT_COMMIT, told


def depths_of(flow: Flow[Any]) -> dict[type[Op[Any]], list[str]]:
    """Run a miss to its end; return the nested generators at each op, by its type."""
    found: dict[type[Op[Any]], list[str]] = {}
    reply: Any = None
    while True:
        try:
            op = flow.send(reply)
        except StopIteration:
            return found
        found[type(op)] = nested(flow)
        reply = reply_to(op)


def nested(flow: Any) -> list[str]:
    """Return the names of the generators that are suspended, the outermost first."""
    names: list[str] = []
    while flow is not None:
        names.append(flow.gi_code.co_name)
        flow = flow.gi_yieldfrom
    return names


def reply_to(op: Op[Any]) -> Any:
    match op:
        case Join():
            return lead(op)
        case Look():
            return RawRead(None)
        case LookAndLease():
            return RawRead(op.filling)
        case Load():
            return Loaded("v", 5.0)
        case Commit():
            return CommitReply.STORED
        case _:
            assert isinstance(op, EndFlight)
            return None
