"""Reading several keys, in as few trips as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.entry import MISSING
from dualcache.core.events import Miss
from dualcache.core.ops import DropConnections, GiveWay, Look
from dualcache.engine.pacing import paced, slices
from dualcache.engine.pipelines import ask_together
from dualcache.engine.read import classify_again, found
from dualcache.engine.serve import classify, find_in_front, ids_of
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Flow, RawRead
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult


def get_many(calls: Sequence[Call], env: Env) -> Flow[list[object]]:
    """Return the fresh value of each call, or MISSING; what is not kept is read in few trips."""
    values = yield from paced(lambda call: find_in_front(call, env), calls)
    unkept = [at for at, value in enumerate(values) if value is MISSING]
    try:
        for places in slices(unkept):
            part = [calls[at] for at in places]
            sights = yield from look_many(part, env)
            for at, call, sight in zip(places, part, sights, strict=True):
                values[at] = found(call, sight, env)
    except BackendError:
        env.emit(Miss("", "backend_down"))
    return values


def look_many(calls: Sequence[Call], env: Env) -> Flow[list[ReadResult]]:
    """Read several keys and their tags in few trips; tags that only entries name, in others."""
    sequence = env.sequence()
    sights: list[ReadResult] = []

    def judged(read: tuple[Call, RawRead]) -> ReadResult:
        call, seen = read
        return classify(call, seen.raw, ids_of(call, seen), sequence, env, seen.left_ms)

    for part in slices(calls):
        if sights:
            yield GiveWay()
        replies = yield from ask_together(
            [Look(call.key, call.tags, call.policy.stale_if_error_ms > 0) for call in part], env
        )
        sights += yield from paced(judged, zip(part, replies, strict=True))
    if any(sight.is_doubtful for sight in sights):
        yield DropConnections()
    return (yield from classify_again(calls, sights, env))
