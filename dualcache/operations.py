"""From the arguments of a direct call to the flow that answers it; both faces run the same.

Names are checked and completed here, units converted, codecs chosen. Nothing is performed.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dualcache.core.callables import checked_loader
from dualcache.core.entry import MISSING
from dualcache.direct_calls import DirectCalls
from dualcache.engine import batch, invalidation, listing, load, read, read_many, write
from dualcache.engine.add import add
from dualcache.engine.incr import incr
from dualcache.engine.pipelines import paced
from dualcache.engine.upkeep import fence, ping_server
from dualcache.errors import UsageError
from dualcache.keys.names import no_pattern, several
from dualcache.options.checks import to_bool
from dualcache.runtime.invalidations import invalidation_of, refused_without_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.core.entry import Entry
    from dualcache.core.events import Invalidated
    from dualcache.core.flight import Outcome
    from dualcache.core.ops import Flow
    from dualcache.engine.listing import NamePage
    from dualcache.observability.stats import Stats
    from dualcache.options.policy import Options


class Operations(DirectCalls):
    """Makes the flows of the methods of one cache, for the backend of this task or thread."""

    def get(self, key: str, annotation: Any) -> Flow[Any]:
        """Read one key; the flow returns MISSING for a miss."""
        backend = self._runtime.active_backend
        return read.get(self.reading(key, annotation, backend), backend.env)

    def get_many(self, keys: Iterable[str], annotation: Any) -> Flow[dict[str, Any]]:
        """Read several keys; the flow returns those that were found."""
        backend = self._runtime.active_backend
        wanted = distinct(keys, "get_many()")
        read_as = self.reading_as(annotation, backend)
        calls = yield from paced(lambda key: self.call(key, read_as), wanted)
        values = yield from read_many.get_many(calls, backend.env)
        pairs = zip(wanted, values, strict=True)
        return {key: value for key, value in pairs if value is not MISSING}

    def set(self, key: str, value: Any, options: Options, tags: Iterable[str]) -> Flow[bool]:
        """Store one value."""
        backend = self._runtime.active_backend
        policy = self.policy(options, MISSING, "set()", self.counters, backend)
        call = self.call(key, policy, self.tags(tags, "set()"))
        return write.set_value(call, value, backend.env)

    def set_many(
        self, values: Mapping[str, Any], options: Options, tags: Iterable[str]
    ) -> Flow[list[str]]:
        """Store several values; the flow returns the keys of those that are there."""
        backend = self._runtime.active_backend
        if not isinstance(values, Mapping):
            raise UsageError(
                f"set_many() was given a {type(values).__name__}, not a mapping",
                code="DC179",
                help='write set_many({"key": value, …})',
            )
        policy = self.policy(options, MISSING, "set_many()", self.counters, backend)
        names = self.tags(tags, "set_many()")
        pairs = ((self.call(key, policy, names), value) for key, value in values.items())
        stored = yield from write.set_many(pairs, backend.env)
        return [key for key, is_there in zip(values, stored, strict=True) if is_there]

    def add(self, key: str, value: Any, options: Options, tags: Iterable[str]) -> Flow[bool]:
        """Store one value where none is."""
        backend = self._runtime.active_backend
        policy = self.policy(options, MISSING, "add()", self.counters, backend)
        whole = policy.value_codec
        glance = whole._replace(unpack=whole.verify)  # whether a value is there, not which
        call = self.call(key, replace(policy, value_codec=glance), self.tags(tags, "add()"))
        return add(call, value, backend.env)

    def incr(
        self,
        key: str,
        by: int,
        options: Options,
        tags: Iterable[str],
        *,
        sign: int = 1,
    ) -> Flow[int | None]:
        """Add to a counter, or subtract from it."""
        backend = self._runtime.active_backend
        try:
            step = sign * index(by)
        except TypeError:
            raise UsageError(
                f"a counter was to change by a {type(by).__name__}, which is no whole number",
                code="DC182",
                help="give by= an int; it may be negative",
            ) from None
        policy = self.policy(options, MISSING, "incr()", self.counters, backend)
        return incr(self.call(key, policy, self.tags(tags, "incr()")), step, backend.env)

    def names(self, cursor: int, pattern: str) -> Flow[NamePage]:
        """Return a page of the names that match."""
        backend = self._runtime.active_backend
        return listing.list_names(cursor, pattern, backend.env)

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], Any],
        options: Options,
        tags: Iterable[str],
        annotation: Any,
    ) -> Flow[Outcome]:
        """Serve one key, or load it."""
        backend = self._runtime.active_backend
        counters = self.counters_of_loader(checked_loader(loader, "get_or_load()"))
        policy = self.policy(options, annotation, "get_or_load()", counters, backend)
        call = self.call(key, policy, self.tags(tags, "get_or_load()"))
        call = replace(call, function=loader)
        return load.get_or_load(call, backend.env)

    def get_or_load_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Any],
        one_of: Callable[[str], Callable[[], Any]],
        options: Options,
        tags: Iterable[str],
        annotation: Any,
    ) -> Flow[dict[str, Any]]:
        """Serve several keys; `loader` gets the list of those that this caller must load."""
        backend = self._runtime.active_backend
        counters = self.counters_of_loader(checked_loader(loader, "get_or_load_many()"))
        policy = self.policy(options, annotation, "get_or_load_many()", counters, backend)
        names = self.tags(tags, "get_or_load_many()")
        wanted = distinct(keys, "get_or_load_many()")
        calls = yield from paced(lambda key: self.call(key, policy, names), wanted)
        asked = dict(zip(wanted, calls, strict=True))
        return (yield from batch.get_or_load_many(asked, loader, one_of, backend.env))

    def invalidate(
        self, keys: Iterable[str], tags: Iterable[str], patterns: Iterable[str]
    ) -> Flow[Invalidated]:
        """Delete keys, tags and patterns, however many; raises for wrong names when run."""
        env = self._runtime.backend.env
        names = yield from paced(no_pattern, keys)
        return (yield from invalidation_of(names, tags, patterns, env))

    def clear(self, *, everything: bool) -> Flow[Invalidated]:
        """Delete the whole namespace, or the whole database where `everything` says so."""
        env = self._runtime.backend.env
        if not env.prefix and not to_bool(everything, "everything", owner="clear()"):
            raise refused_without_namespace("clear()")
        return invalidation.clear(env)

    def peek(self, key: str, annotation: Any) -> Flow[Entry | None]:
        """Tell what is stored under a key."""
        backend = self._runtime.active_backend
        return read.peek(self.reading(key, annotation, backend), backend.env)

    def contains(self, key: str) -> Flow[bool]:
        """Tell whether a fresh entry is under a key; it is not decoded."""
        backend = self._runtime.active_backend
        return read.contains(self.glancing(key), backend.env)

    def ttl(self, key: str) -> Flow[float | None]:
        """Return the seconds that what is under a key has left; it is not decoded."""
        backend = self._runtime.active_backend
        return read.ttl(self.glancing(key), backend.env)

    def fence(self) -> Flow[None]:
        """Wait until every invalidation acknowledged by now has been heard."""
        return fence(self._runtime.backend.env)

    def ping(self) -> Flow[bool]:
        """Ask the backend for a sign of life."""
        return ping_server(self._runtime.backend.env)

    def stats(self) -> Stats:
        """Return the counters of functions and of direct calls in this process."""
        return self._runtime.stats([self.counters, *self._counters_by_loader.values()])


def distinct(keys: Iterable[str], what: str) -> list[str]:
    """Return keys as a list, each once."""
    return list(dict.fromkeys(several(keys, f"keys of {what}", 'write them as a list: ["…"]')))
