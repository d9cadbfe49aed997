"""From the options of a direct call to the policy that the engine works by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.counters import DIRECT
from dualcache.core.entry import MISSING
from dualcache.errors import UsageError
from dualcache.options.checks import to_bool
from dualcache.options.option import Part, Where
from dualcache.options.policy import make_policy
from dualcache.options.table import names
from dualcache.options.written import check_negative, chosen, refuse_unknown

if TYPE_CHECKING:
    from dualcache.core.policy import Counters, Policy
    from dualcache.options.policy import Options
    from dualcache.runtime.backend import Backend
    from dualcache.runtime.runtime import Runtime

__all__ = ["loading", "storing", "touching"]

_LOAD_OPTIONS: Final = names(Where.LOAD)
_STORE_OPTIONS: Final = names(Where.STORE)
_POLICY_OPTIONS: Final = frozenset(names(Where.LOAD, Part.POLICY))
_VALUE_OPTIONS: Final = names(Where.LOAD, Part.VALUE)


def loading(
    runtime: Runtime,
    backend: Backend,
    options: Options,
    ttl: Any,
    annotation: Any,
    counters: Counters,
    *,
    owner: str,
) -> Policy:
    """Return the policy of a direct load."""
    written = _written(options, ttl, _LOAD_OPTIONS, owner)
    return _policy(runtime, backend, written, annotation, counters, owner=owner)


def storing(
    runtime: Runtime,
    backend: Backend,
    options: Options,
    ttl: Any,
    counters: Counters,
    *,
    owner: str,
) -> Policy:
    """Return the policy of a value that the caller gives; its ttl is taken as it is."""
    written = {"jitter": 0, **_written(options, ttl, _STORE_OPTIONS, owner)}
    return _policy(runtime, backend, written, MISSING, counters, owner=owner)


def touching(runtime: Runtime, backend: Backend, ttl: Any, counters: Counters) -> Policy:
    """Return the policy of entries that get a new life."""
    policy = storing(runtime, backend, {}, ttl, counters, owner="touch()")
    if policy.ttl_of is not None:
        raise UsageError(
            "touch() got a ttl that is a function of a result, and it reads none",
            code="DC417",
            help='write touch(key, ttl="5m")',
        )
    return policy


def _policy(
    runtime: Runtime,
    backend: Backend,
    options: Options,
    annotation: Any,
    counters: Counters,
    *,
    owner: str,
) -> Policy:
    own: dict[str, Any] = {}
    is_fronted = True
    if not options.keys() <= _POLICY_OPTIONS or "negative_ttl" in options:
        check_negative(options, owner=owner)
        own = chosen(options, _VALUE_OPTIONS)
        is_fronted = to_bool(options.get("front", True), "front", owner=owner)
        options = chosen(options, _POLICY_OPTIONS)
    value_codec = runtime.codecs.direct_codec_for(annotation, own)
    return make_policy(
        DIRECT,
        value_codec,
        options,
        runtime.defaults,
        owner=owner,
        counters=counters,
        front=backend.front_for(value_codec) if is_fronted else None,
    )


def _written(options: Options, ttl: Any, known: tuple[str, ...], owner: str) -> Options:
    refuse_unknown(options, known, owner=owner)
    return options if ttl is MISSING else {**options, "ttl": ttl}
