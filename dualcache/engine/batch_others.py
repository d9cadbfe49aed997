"""The keys of a batch that other callers are loading: waited for when its own have been loaded."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dualcache.core.entry import MISSING
from dualcache.core.flight import value_of
from dualcache.engine.freshness import FRESH
from dualcache.engine.load import get_or_load
from dualcache.engine.read_many import look_many
from dualcache.engine.serve import count_hit
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["load_others"]


def load_others(
    names: Sequence[str],
    calls: Mapping[str, Call],
    one_of: Callable[[str], Callable[[], Any]],
    env: Env,
) -> Flow[dict[str, Any]]:
    """Serve or load, one by one, what other callers were loading.

    A caller that loads several keys stores them together: after the wait for the first, the others
    are looked at in one trip.
    """
    found: dict[str, Any] = {}
    for at, name in enumerate(names):
        if name in found:
            continue
        # One by one, by the rules of a single load: each may be followed, may be served by now, or
        # may have been given up by its leader.
        value = yield from _load_one(calls[name], one_of(name), env)
        if value is not MISSING:
            found[name] = value
        if at == 0 and len(names) > 1:
            rest = {each: calls[each] for each in names[1:]}
            with suppress(BackendError):
                reads = yield from look_many(list(rest.values()), env)
                found.update(_serve_fresh(rest, dict(zip(rest, reads, strict=True)), env))
    return found


def _load_one(call: Call, function: Callable[[], Any], env: Env) -> Flow[Any]:
    """Serve or load one key that another caller was loading; MISSING where there is none."""
    condition = call.policy.condition

    def is_kept(value: object, *args: Any) -> object:
        return value is not MISSING and (condition is None or condition(value, *args))

    policy = replace(call.policy, condition=is_kept)
    one = replace(call, function=function, policy=policy, may_lack=True)
    return value_of((yield from get_or_load(one, env)))


def _serve_fresh(
    calls: Mapping[str, Call], reads: Mapping[str, ReadResult], env: Env
) -> dict[str, Any]:
    """Return the values that are fresh; count them as hits."""
    found = {}
    for name, read in reads.items():
        if read.state is FRESH:
            count_hit(calls[name], env, read.raw)
            found[name] = read.value
    return found
