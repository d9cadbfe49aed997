"""The calls of one function of many values: each value has its entry, all share the trips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.core.entry import MISSING
from dualcache.core.scope import switched_off
from dualcache.engine.expiry import expire
from dualcache.engine.invalidation import invalidate
from dualcache.engine.pipelines import paced
from dualcache.engine.read_many import peek_many
from dualcache.errors import UsageError
from dualcache.functions.compile import compile_loader
from dualcache.keys.signature import FunctionSignature
from dualcache.runtime import traced_flows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dualcache.core.entry import Entry
    from dualcache.core.events import Invalidated
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.functions.function import Cached
    from dualcache.keys.elements import ElementSignature

__all__ = ["CachedMany"]


class _Asked(NamedTuple):
    """The values of a call, by the keys of their entries: `elements`, and a call of each."""

    values: tuple[Any, ...]
    elements: dict[str, Any]
    calls: dict[str, Call]


class CachedMany:
    """One decorated function of many values: each is a call of `cached`, which takes one.

    `missing` stands for a value that the function has no result for; `MISSING`: nothing does.
    """

    def __init__(self, cached: Cached, signature: ElementSignature, missing: Any) -> None:
        self.cached = cached
        self.element = signature
        self.missing = missing
        self.whole = FunctionSignature(signature.function)
        self.whole.open_calls = None
        self._loader = compile_loader(self.whole)

    def perform(self, values: tuple[Any, ...]) -> dict[Any, Any]:
        """Serve one call in this thread."""
        runtime = self.cached.runtime
        if id(runtime) in switched_off.get():
            elements = self._elements_of(values)
            return self._in_order(self._load(values, elements), elements)
        return runtime.backend.run(self._serving(values))  # type: ignore[no-any-return]

    async def perform_async(self, values: tuple[Any, ...]) -> dict[Any, Any]:
        """Serve one call in this task."""
        runtime = self.cached.runtime
        if id(runtime) in switched_off.get():
            elements = self._elements_of(values)
            return self._in_order(await self._load(values, elements), elements)
        return await runtime.backend.arun(self._serving(values))  # type: ignore[no-any-return]

    def refreshing(self, values: tuple[Any, ...]) -> Flow[dict[Any, Any]]:
        """Load all values now, and store them."""
        asked, backend = (yield from self._asked(values)), self.cached.runtime.active_backend
        loader = self._loader_of(asked)
        found = yield from traced_flows.refresh_many(
            asked.calls, loader, backend, self.cached.label
        )
        return _by_element(asked, found)

    def peeking(self, values: tuple[Any, ...]) -> Flow[dict[Any, Entry]]:
        """Tell what is stored for each value; one without an entry is left out."""
        asked, backend = (yield from self._asked(values)), self.cached.runtime.active_backend
        entries = yield from peek_many(list(asked.calls.values()), backend.env)
        pairs = zip(asked.elements.values(), entries, strict=True)
        return {element: entry for element, entry in pairs if entry is not None}

    def invalidating(self, values: tuple[Any, ...]) -> Flow[Invalidated]:
        """Delete what is stored for each value."""
        asked = yield from self._asked(values)
        return (yield from invalidate(tuple(asked.calls), (), (), self._env, self.cached.label))

    def expiring(self, values: tuple[Any, ...]) -> Flow[Invalidated]:
        """Make what is stored for each value stale."""
        asked = yield from self._asked(values)
        return (yield from expire(tuple(asked.calls), self._env, self.cached.label))

    def keys_for(self, values: tuple[Any, ...]) -> list[str]:
        """Return the key of each value, without the namespace, in the order asked."""
        binding = self.cached.binding
        return [
            binding.key_of(*self._call_of(values, element))[len(binding.prefix) :]
            for element in self._elements_of(values)
        ]

    @property
    def _env(self) -> Env:
        return self.cached.runtime.backend.env

    def _serving(self, values: tuple[Any, ...]) -> Flow[dict[Any, Any]]:
        asked, backend = (yield from self._asked(values)), self.cached.runtime.backend
        loader, label = self._loader_of(asked), self.cached.label
        one_of = _one_by(loader, self)
        found = yield from traced_flows.get_or_load_many(
            asked.calls, loader, one_of, backend, label
        )
        return _by_element(asked, found)

    def _asked(self, values: tuple[Any, ...]) -> Flow[_Asked]:
        """Make a call of each value; values of one key are one."""
        cached, elements = self.cached, self._elements_of(values)
        calls = yield from paced(
            lambda element: cached.call_with(self._call_of(values, element)), elements
        )
        by_key: dict[str, Any] = {}
        for call, element in zip(calls, elements, strict=True):
            by_key.setdefault(call.key, element)
        return _Asked(values, by_key, {call.key: call for call in calls})

    def _call_of(self, values: tuple[Any, ...], element: Any) -> tuple[Any, ...]:
        at = self.element.at
        return (*values[:at], element, *values[at + 1 :])

    def _elements_of(self, values: tuple[Any, ...]) -> list[Any]:
        """Return the values that a call asks for, each once, in order."""
        given = values[self.element.at]
        if isinstance(given, str | bytes) or not hasattr(type(given), "__iter__"):
            raise UsageError(
                f"{self.whole.name} was given a {type(given).__name__}, not several values",
                code="DC423",
                help="give a list, also for one value: [value]",
            )
        return list(dict.fromkeys(given))

    def _load(self, values: tuple[Any, ...], elements: list[Any]) -> Any:
        return self._loader(*self._call_of(values, self.element.collected(elements)))

    def _loader_of(self, asked: _Asked) -> Callable[[list[str]], Any]:
        """Make the loader of some keys, which returns a mapping by these keys."""

        def wanted(keys: list[str]) -> list[Any]:
            return [asked.elements[key] for key in keys]

        def load(keys: list[str]) -> dict[str, Any]:
            return self._by_key(self._load(asked.values, wanted(keys)), asked, keys)

        async def aload(keys: list[str]) -> dict[str, Any]:
            return self._by_key(await self._load(asked.values, wanted(keys)), asked, keys)

        return aload if self.whole.is_coroutine else load

    def _by_key(self, result: Any, asked: _Asked, keys: Iterable[str]) -> dict[str, Any]:
        elements = asked.elements
        found = self._in_order(result, [elements[key] for key in keys])
        return {key: found[elements[key]] for key in keys if elements[key] in found}

    def _in_order(self, result: Any, elements: Iterable[Any]) -> dict[Any, Any]:
        """Return the results of values in their order; `missing` where the function has none."""
        if not hasattr(result, "keys") or not hasattr(result, "__getitem__"):
            raise UsageError(
                f"{self.whole.name} returned a {type(result).__name__}, not a mapping",
                code="DC422",
                help="return a dict from each value to its result",
            )
        known = dict(result)
        found = {element: known.get(element, self.missing) for element in elements}
        return {element: value for element, value in found.items() if value is not MISSING}


def _by_element(asked: _Asked, found: Mapping[str, Any]) -> dict[Any, Any]:
    return {element: found[key] for key, element in asked.elements.items() if key in found}


def _one_by(loader: Callable[[list[str]], Any], many: CachedMany) -> Callable[[str], Any]:
    """Make the function that gives the loader of a single key, called with its call's arguments.

    That returns MISSING where there is no such value.
    """

    def one_of(key: str) -> Callable[[], Any]:
        return lambda *_: loader([key]).get(key, MISSING)

    def aone_of(key: str) -> Callable[[], Any]:
        async def load_one(*_: Any) -> Any:
            return (await loader([key])).get(key, MISSING)

        return load_one

    return aone_of if many.whole.is_coroutine else one_of
