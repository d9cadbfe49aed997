"""Who does what in the simulation: small casts of readers and writers over two processes."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003  the alias below is one at runtime, too
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from dualcache.core.background import Spawn
from dualcache.core.entry import MISSING
from dualcache.core.flight import Load, Outcome
from dualcache.core.ops import Loaded, do
from dualcache.core.policy import Call
from dualcache.engine.add import add
from dualcache.engine.batch import get_or_load_many
from dualcache.engine.expiry import expire
from dualcache.engine.invalidation import clear, clear_function, invalidate
from dualcache.engine.load import get_or_load, refresh
from dualcache.engine.read import get
from dualcache.engine.read_many import get_many
from dualcache.engine.serve import NOT_SERVED, find_in_front, first_look, look_failed, serve
from dualcache.engine.touch import touch_many
from dualcache.engine.upkeep import fence
from dualcache.engine.write import set_value
from dualcache.errors import BackendError
from tests.simulation.scenario import Role, Scenario
from tests.simulation.values import KEY, NAMES, OTHER, OWNER, TAG, Cancelled, Value

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env
    from tests.simulation.actor import Actor
    from tests.simulation.world import World

FlowOf: TypeAlias = "Callable[[World, Actor], Flow[Any]]"


def served_or_loaded(call: Call, env: Env) -> Flow[Outcome]:
    """Do what both drivers do for a decorated function: look first, and run a flow if need be.

    The look is an op of this flow, so that anything may come between it and its reply.
    """
    value = find_in_front(call, env)
    if value is not MISSING:
        return Outcome(value)
    first = first_look(call, env)
    if first is not None:
        try:
            seen = yield first.op
        except BackendError as error:
            look_failed(first, error, env)
        else:
            value = serve(call, first, seen, env)
            if value is not NOT_SERVED:
                return Outcome(value)
    return (yield from get_or_load(call, env, first))


def loads(
    tags: tuple[str, ...] = (), *, is_cold: bool = False, by_flow: bool = False, **options: Any
) -> FlowOf:
    """Read through the cache; `is_cold`: hits are rare, so the lease is asked for at once.

    `by_flow`: nothing is asked before the flow begins.
    """

    def flow(_: World, actor: Actor) -> Flow[Any]:
        if is_cold:
            actor.counters.recent_hits = 0.0
        call = Call(KEY, actor.policy(**options), tags)
        run = get_or_load if by_flow else served_or_loaded
        return run(call, actor.process.env)

    return flow


def gets_many(tags: tuple[str, ...] = ()) -> FlowOf:
    """Read together with another key, and load nothing."""

    def flow(_: World, actor: Actor) -> Flow[Any]:
        calls = both(actor, tags)
        values = yield from get_many((*calls.values(),), actor.process.env)
        return values[0]

    return flow


def loads_many(
    tags: tuple[str, ...] = (), *, is_cold: bool = False, is_alone: bool = False, **options: Any
) -> FlowOf:
    """Read through the cache together with another key; `is_cold`: by leases at once.

    `is_alone`: the batch is of one key.
    """

    def flow(_: World, actor: Actor) -> Flow[Any]:
        calls = both(actor, tags, **options)
        if is_alone:
            del calls[OTHER]
        actor.counters.whole_batches = 0.0 if is_cold else 1.0
        env = actor.process.env
        found = yield from by_key(get_or_load_many(calls, dict, lambda name: name.strip, env))
        return found[KEY]

    return flow


def both(actor: Actor, tags: tuple[str, ...], **options: Any) -> dict[str, Call]:
    """Make the calls of a batch; nothing of its second key is kept in front."""
    policy = actor.policy(**options)
    unkept = replace(policy, front=None)
    return {KEY: Call(KEY, policy, tags), OTHER: Call(OTHER, unkept)}


def by_key(flow: Flow[Any]) -> Flow[Any]:
    """Let what a batch loads be a mapping, in the background too."""
    return relayed(flow, _by_key)


def _by_key(op: Any) -> Flow[Any]:
    reply = yield replace(op, flow=by_key(op.flow)) if isinstance(op, Spawn) else op
    if isinstance(op, Load) and isinstance(reply, Loaded) and op.args:
        return replace(reply, value=dict.fromkeys(op.args[0], reply.value))
    return reply


def relayed(flow: Flow[Any], answered: Callable[[Any], Flow[Any]] = do) -> Flow[Any]:
    """Run a flow, and answer each of its ops by the flow that `answered` makes of it."""
    reply: Any = None
    while True:
        try:
            op: Any = flow.throw(reply) if isinstance(reply, BaseException) else flow.send(reply)
        except StopIteration as end:
            return end.value
        try:
            reply = yield from answered(op)
        except GeneratorExit:  # of a world that is abandoned, whatever the flow asks for on its way
            with suppress(Cancelled, StopIteration):
                while True:
                    flow.throw(Cancelled())
            raise
        except BaseException as error:  # noqa: BLE001  raised in the flow that asked
            reply = error


def loads_cut_off(*, is_cold: bool = False) -> FlowOf:
    """Read through the cache of a process whose breaker is open."""

    def flow(_: World, actor: Actor) -> Flow[Any]:
        env = actor.process.env
        breaker = env.health.breaker
        if breaker.is_closed:
            breaker.failed(env.elapsed_ms(), since=breaker.events, is_certain=True)
            env.health.is_clear = False
        actor.counters.recent_hits = 0.0 if is_cold else 1.0
        return served_or_loaded(Call(KEY, actor.policy()), env)

    return flow


def refreshes(tags: tuple[str, ...] = (), **options: Any) -> FlowOf:
    """Load whatever is stored, and read what was loaded."""

    def flow(_: World, actor: Actor) -> Flow[Any]:
        return refresh(Call(KEY, actor.policy(**options), tags), actor.process.env)

    return flow


def deletes_key(_: World, actor: Actor) -> Flow[Any]:
    return invalidate((KEY,), (), (), actor.process.env)


def deletes_tag(_: World, actor: Actor) -> Flow[Any]:
    return invalidate((), (TAG,), (), actor.process.env)


def deletes_pattern(_: World, actor: Actor) -> Flow[Any]:
    return invalidate((), (), (f"{KEY}*",), actor.process.env)


def expires(_: World, actor: Actor) -> Flow[Any]:
    return expire((KEY,), actor.process.env)


def touches(_: World, actor: Actor) -> Flow[Any]:
    """Give the entry a new life; nothing is read that could be too old."""
    yield from touch_many((Call(KEY, actor.policy()),), actor.process.env)
    return MISSING


def clears(_: World, actor: Actor) -> Flow[Any]:
    return clear(actor.process.env)


def clears_function(_: World, actor: Actor) -> Flow[Any]:
    """Clear what loads with the option `owner=OWNER` store."""
    return clear_function(OWNER, f"{KEY}*", actor.process.env)


def sets(tags: tuple[str, ...] = ()) -> FlowOf:
    def flow(world: World, actor: Actor) -> Flow[Any]:
        call = Call(KEY, actor.policy(), tags)
        return set_value(call, Value(world.version, actor.role.name), actor.process.env)

    return flow


def sets_if_absent(tags: tuple[str, ...] = ()) -> FlowOf:
    def flow(world: World, actor: Actor) -> Flow[Any]:
        call = Call(KEY, actor.policy(), tags)
        return add(call, Value(world.version, actor.role.name), actor.process.env)

    return flow


def fences(_: World, actor: Actor) -> Flow[Any]:
    return fence(actor.process.env)


def gets(tags: tuple[str, ...] = (), **options: Any) -> FlowOf:
    """Read, and load nothing."""

    def flow(_: World, actor: Actor) -> Flow[Any]:
        return get(Call(KEY, actor.policy(**options), tags), actor.process.env)

    return flow


def cast(readers: dict[str, Any], writers: dict[str, Any], **options: Any) -> Scenario:
    """Make a scenario of callers named `process.name`."""
    roles = [Role(name, name[0], flow, is_fencer=flow is fences) for name, flow in readers.items()]
    for name, flow in writers.items():
        is_set = flow.__qualname__.startswith("sets")
        roles.append(Role(name, name[0], flow, is_writer=True, is_set=is_set))
    return Scenario(tuple(roles), options.pop("names", NAMES), **options)
