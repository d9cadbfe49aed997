"""From the arguments of a direct call to the flow that answers it; both faces run the same.

Names are checked and completed here, units converted, codecs chosen. Nothing is performed.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dualcache.core.callables import checked_loader
from dualcache.core.counters import DIRECT
from dualcache.core.entry import MISSING
from dualcache.core.policy import Call, Policy
from dualcache.engine import invalidation, listing, load, peek, read, write
from dualcache.engine.add import add
from dualcache.engine.expiry import expire
from dualcache.engine.incr import incr
from dualcache.engine.pipelines import paced, paced_parts
from dualcache.engine.touch import touch_many
from dualcache.engine.upkeep import fence, ping_server
from dualcache.errors import UsageError
from dualcache.keys.names import full_tags, no_patterns, several, user_key, user_tag
from dualcache.options.checks import to_bool
from dualcache.options.written import refuse_single_loads
from dualcache.runtime import traced_flows
from dualcache.runtime.direct_policies import loading, storing, touching
from dualcache.runtime.invalidations import invalidation_of, refused_without_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.core.entry import Entry
    from dualcache.core.events import Invalidated
    from dualcache.core.flight import Outcome
    from dualcache.core.ops import Flow
    from dualcache.engine.listing import NamePage
    from dualcache.options.policy import Options
    from dualcache.runtime.backend import Backend
    from dualcache.runtime.runtime import Runtime


__all__ = ["Operations", "whole_step"]


class Operations:
    """Makes the flows of the methods of one cache, for the backend of this task or thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._counters = runtime.direct_counters.own

    def get(self, key: str, annotation: Any) -> Flow[Any]:
        """Read one key; the flow returns MISSING for a miss."""
        backend = self._runtime.active_backend
        return traced_flows.direct(read.get, self._reading(key, annotation, backend), backend)

    def get_many(self, keys: Iterable[str], annotation: Any) -> Flow[dict[str, Any]]:
        """Read several keys; the flow returns those that were found."""
        backend = self._runtime.active_backend
        wanted = _distinct(keys, "get_many()")
        read_as = self._reading_as(annotation, backend)
        calls = yield from paced(lambda key: self._call(key, read_as), wanted)
        values = yield from traced_flows.get_many(calls, backend, DIRECT)
        pairs = zip(wanted, values, strict=True)
        return {key: value for key, value in pairs if value is not MISSING}

    def set(
        self, key: str, value: Any, ttl: Any, tags: Iterable[str], options: Options
    ) -> Flow[bool]:
        """Store one value."""
        backend = self._runtime.active_backend
        policy = self._storing(ttl, "set()", backend, options)
        call = self._call(key, policy, self._tags(tags, "set()"))
        return write.set_value(call, value, backend.env)

    def set_many(
        self, values: Mapping[str, Any], ttl: Any, tags: Iterable[str], options: Options
    ) -> Flow[list[str]]:
        """Store several values; the flow returns the keys of those that are there."""
        backend = self._runtime.active_backend
        if not isinstance(values, Mapping):
            raise UsageError(
                f"set_many() was given a {type(values).__name__}, not a mapping",
                code="DC179",
                help='write set_many({"key": value, …})',
            )
        policy = self._storing(ttl, "set_many()", backend, options)
        names = self._tags(tags, "set_many()")
        pairs = ((self._call(key, policy, names), value) for key, value in values.items())
        stored = yield from write.set_many(pairs, backend.env)
        return [key for key, is_there in zip(values, stored, strict=True) if is_there]

    def add(
        self, key: str, value: Any, ttl: Any, tags: Iterable[str], options: Options
    ) -> Flow[bool]:
        """Store one value where none is."""
        backend = self._runtime.active_backend
        policy = self._storing(ttl, "add()", backend, options)
        call = self._call(key, _glance(policy), self._tags(tags, "add()"))
        return add(call, value, backend.env)

    def incr(
        self, key: str, step: int, ttl: Any, tags: Iterable[str], what: str = "incr()"
    ) -> Flow[int | None]:
        """Add to a counter; a negative step subtracts."""
        backend = self._runtime.active_backend
        policy = self._storing(ttl, what, backend, {})
        return incr(self._call(key, policy, self._tags(tags, what)), step, backend.env)

    def names(self, cursor: int, pattern: str) -> Flow[NamePage]:
        """Return a page of the names that match."""
        backend = self._runtime.active_backend
        return listing.list_names(cursor, pattern, backend.env)

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], Any],
        ttl: Any,
        tags: Iterable[str],
        annotation: Any,
        options: Options,
    ) -> Flow[Outcome]:
        """Serve one key, or load it."""
        backend = self._runtime.active_backend
        policy = self._loading(loader, options, ttl, annotation, "get_or_load()", backend)
        call = self._call(key, policy, self._tags(tags, "get_or_load()"))
        call = replace(call, function=loader)
        return traced_flows.direct(load.get_or_load, call, backend)

    def get_or_load_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Any],
        one_of: Callable[[str], Callable[[], Any]],
        ttl: Any,
        tags: Iterable[str],
        annotation: Any,
        options: Options,
    ) -> Flow[dict[str, Any]]:
        """Serve several keys; `loader` gets the list of those that this caller must load."""
        backend = self._runtime.active_backend
        refuse_single_loads(options, owner="get_or_load_many()")
        policy = self._loading(loader, options, ttl, annotation, "get_or_load_many()", backend)
        names = self._tags(tags, "get_or_load_many()")
        wanted = _distinct(keys, "get_or_load_many()")
        calls = yield from paced(lambda key: self._call(key, policy, names), wanted)
        asked = dict(zip(wanted, calls, strict=True))
        return (yield from traced_flows.get_or_load_many(asked, loader, one_of, backend, DIRECT))

    def invalidate(
        self, keys: Iterable[str], tags: Iterable[str], patterns: Iterable[str], hold: Any
    ) -> Flow[Invalidated]:
        """Delete keys, tags and patterns, however many; raises for wrong names when run."""
        env = self._runtime.backend.env
        names = yield from paced_parts(no_patterns, tuple(keys))
        return (yield from invalidation_of(names, tags, patterns, env, hold=hold))

    def expire(self, keys: Iterable[str]) -> Flow[Invalidated]:
        """Make entries stale; raises for wrong names when run."""
        env = self._runtime.backend.env
        names = yield from paced_parts(no_patterns, tuple(keys))
        return (yield from expire([env.prefix + name for name in names], env))

    def touch(self, keys: Iterable[str], ttl: Any, what: str) -> Flow[list[str]]:
        """Give entries a new life; the flow returns the keys of those that are there."""
        backend = self._runtime.active_backend
        policy = _glance(touching(self._runtime, backend, ttl, self._counters))
        wanted = _distinct(keys, what)
        calls = yield from paced(lambda key: self._call(key, policy), wanted)
        touched = yield from touch_many(calls, backend.env)
        return [key for key, is_there in zip(wanted, touched, strict=True) if is_there]

    def clear(self, *, everything: bool) -> Flow[Invalidated]:
        """Delete the whole namespace, or the whole database where `everything` says so."""
        env = self._runtime.backend.env
        if not env.prefix and not to_bool(everything, "everything", owner="clear()"):
            raise refused_without_namespace("clear()")
        return invalidation.clear(env)

    def peek(self, key: str, annotation: Any) -> Flow[Entry | None]:
        """Return the entry that is stored under a key."""
        backend = self._runtime.active_backend
        return peek.peek(self._reading(key, annotation, backend), backend.env)

    def contains(self, key: str) -> Flow[bool]:
        """Tell whether a fresh entry is under a key; it is not decoded."""
        backend = self._runtime.active_backend
        return peek.contains(self._glancing(key), backend.env)

    def ttl(self, key: str) -> Flow[float | None]:
        """Return the seconds that an entry has left; it is not decoded."""
        backend = self._runtime.active_backend
        return peek.ttl(self._glancing(key), backend.env)

    def fence(self) -> Flow[None]:
        """Wait until every invalidation acknowledged by now has been heard."""
        return fence(self._runtime.backend.env)

    def ping(self) -> Flow[bool]:
        """Ask the backend for a sign of life."""
        return ping_server(self._runtime.backend.env)

    def _storing(self, ttl: Any, what: str, backend: Backend, options: Options) -> Policy:
        return storing(self._runtime, backend, options, ttl, self._counters, owner=what)

    def _loading(
        self, loader: Any, options: Options, ttl: Any, annotation: Any, what: str, backend: Backend
    ) -> Policy:
        counters = self._runtime.direct_counters.of(checked_loader(loader, what))
        return loading(self._runtime, backend, options, ttl, annotation, counters, owner=what)

    def _reading(self, key: str, annotation: Any, backend: Backend) -> Call:
        return self._call(key, self._reading_as(annotation, backend))

    def _reading_as(self, annotation: Any, backend: Backend) -> Policy:
        value_codec = self._runtime.codecs.direct_codec_for(annotation)
        front = backend.front_for(value_codec)
        return Policy(DIRECT, value_codec, ttl_ms=None, counters=self._counters, front=front)

    def _glancing(self, key: str) -> Call:
        """Return the call that tells whether a key holds a value, and decodes nothing."""
        value_codec = self._runtime.codecs.direct_codec_for(MISSING)
        glance = value_codec._replace(unpack=value_codec.verify)
        return self._call(key, Policy(DIRECT, glance, ttl_ms=None, counters=self._counters))

    def _call(self, key: str, policy: Policy, tags: tuple[str, ...] = ()) -> Call:
        return Call(self._runtime.prefix + user_key(key), policy, tags)

    def _tags(self, tags: Iterable[str], what: str) -> tuple[str, ...]:
        """Return the keys under which the tags of a direct call live."""
        written = several(tags, f"tags of {what}", 'write tags=["…"]')
        return full_tags(self._runtime.prefix, [user_tag(tag) for tag in written])


def whole_step(by: object) -> int:
    """Return the step of a counter; `UsageError` if it is no whole number."""
    try:
        return index(by)  # type: ignore[arg-type]  # what has no __index__ is refused below
    except TypeError:
        raise UsageError(
            f"a counter was to change by a {type(by).__name__}, not a whole number",
            code="DC182",
            help="give by= an int; it may be negative",
        ) from None


def _glance(policy: Policy) -> Policy:
    """Return the policy by which a read tells whether a value is there, and not which."""
    whole = policy.value_codec
    return replace(policy, value_codec=whole._replace(unpack=whole.verify))


def _distinct(keys: Iterable[str], what: str) -> list[str]:
    """Return keys as a list, each once."""
    return list(dict.fromkeys(several(keys, f"keys of {what}", 'write them as a list: ["…"]')))
