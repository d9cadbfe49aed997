"""How a direct call gets its names, its policy and its recipe. Nothing is performed."""

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
        self.usage = Counters()
        self._recipes: LRUCache[Any, ValueCodec] = LRUCache(MOST_KNOWN)
        self._usages: LRUCache[str, Counters] = LRUCache(MOST_KNOWN)

    def options(self, what: str, ttl: Any, options: dict[str, Any]) -> Options:
        """Return the options of a direct call; refuse what is none."""
        refuse_unknown(options, _LOAD_OPTIONS, owner=what)
        return options if ttl is MISSING else {**options, "ttl": ttl}

    def usages(self) -> list[Counters]:
        """Return the counters of all loaders of direct calls that are remembered."""
        return list(self._usages.values())

    def policy(
        self, options: Options, annotation: Any, what: str, usage: Counters, backend: Backend
    ) -> Policy:
        """Return the policy of a direct call."""
        recipe = self.known_recipe(annotation)
        return make_policy(
            DIRECT,
            recipe,
            options,
            self._runtime.defaults,
            owner=what,
            usage=usage,
            front=backend.front_for(recipe),
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
        recipe = self.known_recipe(annotation)
        front = backend.front_for(recipe)
        return Policy(DIRECT, recipe, ttl_ms=None, usage=self.usage, front=front)

    def glancing(self, key: str) -> Call:
        """Return the call that tells what is under a key, and decodes nothing."""
        recipe = self.known_recipe(MISSING)
        glance = recipe._replace(unpack=recipe.verify)
        return self.call(key, Policy(DIRECT, glance, ttl_ms=None, usage=self.usage))

    def known_recipe(self, annotation: Any) -> ValueCodec:
        """Return the recipe of a type, made once."""
        codecs = self._runtime.codecs
        try:
            known = self._recipes.get(annotation)
        except TypeError:  # an annotation that cannot be hashed
            return codecs.direct_codec_for(annotation)
        if known is None:
            known = self._recipes[annotation] = codecs.direct_codec_for(annotation)
        return known

    def usage_of_loader(self, loader: object) -> Counters:
        """Return the counters of a loader, by its name."""
        name = f"{getattr(loader, '__module__', '')}.{getattr(loader, '__qualname__', '')}"
        usage = self._usages.get(name)
        if usage is None:
            usage = self._usages[name] = Counters()
        return usage
