"""Loads whose function calls a cached function: their entry is made of what that one returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dualcache.core.flight import Load
from dualcache.core.ops import Loaded, Look, do
from dualcache.core.policy import Call, Counters
from dualcache.core.scope import LoadScope, current_load
from dualcache.engine.invalidation import invalidate
from dualcache.engine.load import get_or_load
from tests.simulation.scenarios import FlowOf, cast, relayed, served_or_loaded
from tests.simulation.values import BOTH, KEY, OTHER, TAG

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from tests.simulation.actor import Actor
    from tests.simulation.scenario import Scenario
    from tests.simulation.world import World

TAGS = (TAG,)


def loads_outer(reads: int = 1, *, asks: str = "") -> FlowOf:
    """Read a second key through the cache; its load reads the key so often, and keeps the oldest.

    Both have the tag. Nothing of the second key is kept in front. `asks`: a proof is asked for
    "inside" of the load, as copies of other keys have it asked for, or "before" it.
    """

    def flow(_: World, actor: Actor) -> Flow[Any]:
        env, policy = actor.process.env, actor.policy()
        unkept = replace(policy, front=None, counters=Counters())
        if asks == "before":
            yield from _asks(actor)
        inner = _reads(actor, [Call(KEY, policy, TAGS)] * reads, is_asking=asks == "inside")
        outer = get_or_load(Call(OTHER, unkept, TAGS), env)
        return (yield from relayed(outer, lambda op: inner if type(op) is Load else do(op)))

    return flow


def _asks(actor: Actor) -> Flow[None]:
    """Ask for a proof, and read something else meanwhile."""
    actor.process.front.ask_proof(lambda: None)
    yield from do(Look(TAG))


def _reads(actor: Actor, calls: list[Call], *, is_asking: bool) -> Flow[Loaded]:
    actor.load = LoadScope()
    current_load.set(actor.load)
    if is_asking:
        yield from _asks(actor)
    values = []
    for call in calls:
        outcome = yield from relayed(served_or_loaded(call, actor.process.env))
        values.append(outcome.value)
    actor.load = None
    current_load.set(None)
    # What it was served on the way does not tell what its result may be made of.
    actor.was_kept = False
    return Loaded(min(values), 0.0)


def deletes_both(_: World, actor: Actor) -> Flow[Any]:
    return invalidate((KEY, OTHER), (), (), actor.process.env)


def nested(
    readers: dict[str, Any], writers: dict[str, Any], transport: str, **options: Any
) -> Scenario:
    """Make a scenario whose first key lies in Redis and in each front tier."""
    kept: dict[str, Any] = {"is_stored": True, "is_kept": True, "tags": TAGS}
    return cast(
        readers, writers, names=BOTH, others=(OTHER,), transport=transport, **kept | options
    )
