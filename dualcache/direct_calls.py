"""How a direct call gets its names, its policy and its codec. Nothing is performed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache

from dualcache.core.entry import MISSING
from dualcache.core.policy import Call, Counters, Policy
from dualcache.keys.names import full_tags, several, user_key, user_tag
from dualcache.options.option import Where
from dualcache.options.policy import make_policy
from dualcache.options.table import names
from dualcache.options.written import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualcache.core.entry import ValueCodec
    from dualcache.options.policy import Options
    from dualcache.runtime.backend import Backend
    from dualcache.runtime.runtime import Runtime

DIRECT: Final = "direct"
"""The label of direct calls, in events and statistics."""
_LOAD_OPTIONS: Final = names(Where.LOAD)
MOST_KNOWN: Final = 1_024
"""How many annotations and loaders are remembered."""


class DirectCalls:
    """What the direct calls of one cache have in common."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.counters = Counters()
        self._codecs: LRUCache[Any, ValueCodec] = LRUCache(MOST_KNOWN)
        self._counters_by_loader: LRUCache[str, Counters] = LRUCache(MOST_KNOWN)

    def options(self, what: str, ttl: Any, options: dict[str, Any]) -> Options:
        """Return the options of a direct call; refuse what is none."""
        refuse_unknown(options, _LOAD_OPTIONS, owner=what)
        return options if ttl is MISSING else {**options, "ttl": ttl}

    def policy(
        self, options: Options, annotation: Any, what: str, counters: Counters, backend: Backend
    ) -> Policy:
        """Return the policy of a direct call."""
        value_codec = self.codec_for(annotation)
        return make_policy(
            DIRECT,
            value_codec,
            options,
            self._runtime.defaults,
            owner=what,
            counters=counters,
            front=backend.front_for(value_codec),
        )

    def call(self, key: str, policy: Policy, tags: tuple[str, ...] = ()) -> Call:
        """Return the call of a direct use of a key; `tags` in full."""
        return Call(self._runtime.prefix + user_key(key), policy, tags)

    def tags(self, tags: Iterable[str], what: str) -> tuple[str, ...]:
        """Return the keys under which the tags of a direct call live."""
        names = several(tags, f"tags of {what}", 'write tags=["…"]')
        return full_tags(self._runtime.prefix, [user_tag(tag) for tag in names])

    def reading(self, key: str, annotation: Any, backend: Backend) -> Call:
        """Return the call that reads a key as a type."""
        return self.call(key, self.reading_as(annotation, backend))

    def reading_as(self, annotation: Any, backend: Backend) -> Policy:
        """Return the policy of reads as a type."""
        value_codec = self.codec_for(annotation)
        front = backend.front_for(value_codec)
        return Policy(DIRECT, value_codec, ttl_ms=None, counters=self.counters, front=front)

    def glancing(self, key: str) -> Call:
        """Return the call that tells what is under a key, and decodes nothing."""
        value_codec = self.codec_for(MISSING)
        glance = value_codec._replace(unpack=value_codec.verify)
        return self.call(key, Policy(DIRECT, glance, ttl_ms=None, counters=self.counters))

    def codec_for(self, annotation: Any) -> ValueCodec:
        """Return the codec of a type, made once."""
        codecs = self._runtime.codecs
        try:
            known = self._codecs.get(annotation)
        except TypeError:  # an annotation that cannot be hashed
            return codecs.direct_codec_for(annotation)
        if known is None:
            known = self._codecs[annotation] = codecs.direct_codec_for(annotation)
        return known

    def counters_of_loader(self, loader: object) -> Counters:
        """Return the counters of a loader, by its name."""
        name = f"{getattr(loader, '__module__', '')}.{getattr(loader, '__qualname__', '')}"
        counters = self._counters_by_loader.get(name)
        if counters is None:
            counters = self._counters_by_loader[name] = Counters()
        return counters
