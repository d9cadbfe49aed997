"""From the arguments of a direct call to the flow that answers it; both faces run the same.

Names are checked and completed here, units converted, recipes chosen. Nothing is performed.
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
from dualcache.engine.pacing import paced
from dualcache.engine.recovery import fence, ping_server
from dualcache.errors import UsageError
from dualcache.keys.globs import matches_everything
from dualcache.keys.names import no_pattern, several, user_key, user_pattern
from dualcache.options.checks import to_bool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dualcache.core.entry import Entry
    from dualcache.core.events import Invalidated
    from dualcache.core.flight import Outcome
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Options
    from dualcache.engine.listing import NamePage
    from dualcache.runtime.backend import Backend


class Operations(DirectCalls):
    """Makes the flows of one cache's methods; `backend` is the one that will run them."""

    def get(self, key: str, annotation: Any, backend: Backend) -> Flow[Any]:
        """Read one key; the flow returns MISSING for a miss."""
        return read.get(self.reading(key, annotation, backend), backend.env)

    def get_many(
        self, keys: Iterable[str], annotation: Any, backend: Backend
    ) -> Flow[dict[str, Any]]:
        """Read several keys; the flow returns those that were found."""
        wanted = distinct(keys, "get_many()")
        read_as = self.reading_as(annotation, backend)
        calls = yield from paced(lambda key: self.call(key, read_as), wanted)
        values = yield from read_many.get_many(calls, backend.env)
        pairs = zip(wanted, values, strict=True)
        return {key: value for key, value in pairs if value is not MISSING}

    def set(
        self, key: str, value: Any, options: Options, tags: Iterable[str], backend: Backend
    ) -> Flow[bool]:
        """Store one value."""
        policy = self.policy(options, MISSING, "set()", self.usage, backend)
        call = self.call(key, policy, self.tags(tags, "set()"))
        return write.set_value(call, value, backend.env)

    def set_many(
        self, values: Mapping[str, Any], options: Options, tags: Iterable[str], backend: Backend
    ) -> Flow[list[str]]:
        """Store several values; the flow returns the keys of those that are there."""
        if not isinstance(values, Mapping):
            raise UsageError(
                f"set_many() was given a {type(values).__name__}, not a mapping",
                code="DC179",
                help='write set_many({"key": value, …})',
            )
        policy = self.policy(options, MISSING, "set_many()", self.usage, backend)
        names = self.tags(tags, "set_many()")
        pairs = ((self.call(key, policy, names), value) for key, value in values.items())
        stored = yield from write.set_many(pairs, backend.env)
        return [key for key, is_there in zip(values, stored, strict=True) if is_there]

    def add(
        self, key: str, value: Any, options: Options, tags: Iterable[str], backend: Backend
    ) -> Flow[bool]:
        """Store one value where none is."""
        policy = self.policy(options, MISSING, "add()", self.usage, backend)
        recipe = policy.recipe._replace(unpack=policy.recipe.verify)  # whether, not what
        call = self.call(key, replace(policy, recipe=recipe), self.tags(tags, "add()"))
        return add(call, value, backend.env)

    def incr(
        self,
        key: str,
        by: int,
        options: Options,
        tags: Iterable[str],
        backend: Backend,
        *,
        sign: int = 1,
    ) -> Flow[int | None]:
        """Add to a counter, or subtract from it."""
        try:
            step = sign * index(by)
        except TypeError:
            raise UsageError(
                f"a counter was to change by a {type(by).__name__}, which is no whole number",
                code="DC182",
                help="give by= an int; it may be negative",
            ) from None
        policy = self.policy(options, MISSING, "incr()", self.usage, backend)
        return incr(self.call(key, policy, self.tags(tags, "incr()")), step, backend.env)

    def names(self, cursor: int, pattern: str, backend: Backend) -> Flow[NamePage]:
        """Return a page of the names that match."""
        return listing.list_names(cursor, pattern, backend.env)

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], Any],
        options: Options,
        tags: Iterable[str],
        annotation: Any,
        backend: Backend,
        usage_of: object = MISSING,
    ) -> Flow[Outcome]:
        """Serve one key, or load it; `usage_of` is the loader as the user gave it."""
        given = checked_loader(loader if usage_of is MISSING else usage_of, "get_or_load()")
        usage = self.usage_of_loader(given)
        policy = self.policy(options, annotation, "get_or_load()", usage, backend)
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
        backend: Backend,
        usage_of: object = MISSING,
    ) -> Flow[dict[str, Any]]:
        """Serve several keys; `loader` gets the list of those that this caller must load."""
        given = checked_loader(loader if usage_of is MISSING else usage_of, "get_or_load_many()")
        usage = self.usage_of_loader(given)
        policy = self.policy(options, annotation, "get_or_load_many()", usage, backend)
        names = self.tags(tags, "get_or_load_many()")
        wanted = distinct(keys, "get_or_load_many()")
        calls = yield from paced(lambda key: self.call(key, policy, names), wanted)
        asked = dict(zip(wanted, calls, strict=True))
        return (yield from batch.get_or_load_many(asked, loader, one_of, backend.env))

    def invalidate_names(
        self,
        keys: Iterable[str],
        tags: Iterable[str],
        patterns: Iterable[str],
        backend: Backend,
    ) -> Flow[Invalidated]:
        """Delete keys, tags and patterns, however many; what cannot be right is told when run."""
        names = yield from paced(no_pattern, keys)
        return (yield from self._deletion(names, tags, patterns, backend, ""))

    def invalidate(
        self,
        keys: Iterable[str],
        tags: Iterable[str],
        patterns: Iterable[str],
        backend: Backend,
        label: str = "",
    ) -> Flow[Invalidated]:
        """Delete keys, tags and patterns as the user names them."""
        return self._deletion([user_key(key) for key in keys], tags, patterns, backend, label)

    def _deletion(
        self,
        names: Sequence[str],
        tags: Iterable[str],
        patterns: Iterable[str],
        backend: Backend,
        label: str,
    ) -> Flow[Invalidated]:
        keys = [self.prefix + name for name in names]
        tag_keys = self.tags(tags, "invalidate()")
        written = several(patterns, "patterns of invalidate()", 'write patterns=["…"]')
        globs = [self._pattern(pattern) for pattern in written]
        return invalidation.invalidate(keys, tag_keys, globs, backend.env, label)

    def clear(self, backend: Backend, *, everything: bool) -> Flow[Invalidated]:
        """Delete the whole namespace, or the whole database where `everything` says so."""
        if not self.prefix and not to_bool(everything, "everything", owner="clear()"):
            raise self._too_much("clear()", "clear(everything=True)")
        return invalidation.clear(backend.env)

    def peek(self, key: str, annotation: Any, backend: Backend) -> Flow[Entry | None]:
        """Tell what is stored under a key."""
        return read.peek(self.reading(key, annotation, backend), backend.env)

    def contains(self, key: str, backend: Backend) -> Flow[bool]:
        """Tell whether a fresh entry is under a key; it is not decoded."""
        return read.contains(self.glancing(key), backend.env)

    def ttl(self, key: str, backend: Backend) -> Flow[float | None]:
        """Return the seconds that what is under a key has left; it is not decoded."""
        return read.ttl(self.glancing(key), backend.env)

    def fence(self, backend: Backend) -> Flow[None]:
        """Wait until every invalidation acknowledged by now has been heard."""
        return fence(backend.env)

    def ping(self, backend: Backend) -> Flow[bool]:
        """Ask the backend for a sign of life."""
        return ping_server(backend.env)

    def _pattern(self, pattern: str) -> str:
        checked = user_pattern(pattern)
        if not self.prefix and matches_everything(checked):
            raise self._too_much("a pattern that matches everything", "clear(everything=True)")
        return checked

    def _too_much(self, what: str, instead: str) -> UsageError:
        return UsageError(
            f"{what} would delete every key of this database: the namespace is empty",
            code="DC156",
            help=f"give the Cache a namespace, or write {instead}",
        )


def distinct(keys: Iterable[str], what: str) -> list[str]:
    """Return keys as a list, each once."""
    return list(dict.fromkeys(several(keys, f"keys of {what}", 'write them as a list: ["…"]')))
