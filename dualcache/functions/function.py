"""One decorated function: its policy, its counters, its part of the front tier; it runs calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec.structs import replace

from dualcache.core.entry import MISSING, CacheInfo
from dualcache.core.policy import Counters
from dualcache.core.scope import switched_off
from dualcache.engine.expiry import expire
from dualcache.engine.invalidation import clear_function, invalidate
from dualcache.front.of_function import FunctionFront
from dualcache.functions.advice import unnamed_parameters, warn
from dualcache.functions.binding import Binding
from dualcache.functions.options import function_options
from dualcache.keys.names import full_tags, several, user_tag
from dualcache.keys.open_calls import loader_of
from dualcache.keys.signature import ABSENT, FunctionSignature
from dualcache.options.front_tier import to_own_front
from dualcache.options.option import Where
from dualcache.options.policy import make_policy
from dualcache.options.table import SPELLINGS, names

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from dualcache.core.events import Invalidated
    from dualcache.core.ops import Flow
    from dualcache.core.pending import PendingLoad
    from dualcache.core.policy import Call, Policy
    from dualcache.engine.env import Env
    from dualcache.functions.options import FunctionOptions
    from dualcache.runtime.runtime import Runtime

__all__ = ["OPTIONS", "Cached", "CallBinding", "cached_function"]

OPTIONS: Final = (*names(Where.DECORATOR), *SPELLINGS)
"""The options of a function that is no endpoint."""
_INDEXED_TYPES: Final = (int, str, bytes, bool)
"""Annotations that are types whose equal values have equal keys."""


def cached_function(
    runtime: Runtime, function: Callable[..., Any], written: Mapping[str, Any]
) -> Cached:
    """Check the options of a decorator, and compile how calls of the function become keys."""
    signature = FunctionSignature.of(function)
    options = function_options(runtime, signature, written, OPTIONS)
    naming = options.naming
    binding = Binding(signature, naming, prefix=runtime.prefix, is_shared=runtime.is_shared)
    if naming.key is not None and naming.vary is None:
        for line in unnamed_parameters(signature, naming.key, naming.ignore):
            warn(line)
    return Cached(runtime, signature, options, binding)


class CallBinding(Protocol):
    """How calls of one function become keys and tags: a `Binding`, or that of an endpoint.

    `key_of` takes the values of a call. `owner` marks what the function stores, `clears` is a
    pattern that its keys match. `indexed` are the places of the values that make the key; `None`
    where more than these does.
    """

    label: str
    prefix: str
    clears: str
    loader: Callable[..., Any]
    indexed: tuple[int, ...] | None

    @property
    def key_of(self) -> Callable[..., str]: ...

    @property
    def owner(self) -> bytes: ...

    @property
    def has_template(self) -> bool: ...

    def call_of(self, values: tuple[Any, ...], policy: Policy) -> Call: ...

    def look_at(self, values: tuple[Any, ...]) -> None: ...

    def doomed_key(self, call: Call) -> str: ...


class Cached:
    """One decorated function of one cache: runs its calls, and is behind its handles."""

    def __init__(
        self,
        runtime: Runtime,
        signature: FunctionSignature,
        options: FunctionOptions,
        binding: CallBinding,
    ) -> None:
        self.runtime = runtime
        self.signature = signature
        self.binding = binding
        self.counters = Counters()
        self._options = options
        self._policy: Policy | None = None
        self._definition = runtime.definitions.admit(
            signature,
            binding.label,
            ignore=options.naming.ignore,
            holder=self,
            is_named=options.naming.name is not None,
            has_template=binding.has_template,
            is_shared=runtime.is_shared,
        )
        self.front = _front_of(runtime, signature, options, binding)
        runtime.functions.add(self)

    @property
    def label(self) -> str:
        """The key template or the dotted name, for events and statistics."""
        return self.binding.label

    @property
    def name(self) -> str:
        """The function's own name, for statistics."""
        return self.signature.name.removesuffix("()")

    @property
    def ttl(self) -> float | None:
        """Seconds that results are stored for; `None`: without end, or before the first call."""
        ttl_ms = None if self._policy is None else self._policy.ttl_ms
        return None if ttl_ms is None else ttl_ms / 1000

    @property
    def policy(self) -> Policy:
        """How results are stored and served; made when annotations can be resolved."""
        if self._policy is None:
            self._policy = self._make_policy()
        return self._policy

    @property
    def runs_itself(self) -> bool:
        """Whether each load runs the function, and nothing else."""
        return "refresh_from" not in self._options.policy

    def forget_policy(self) -> None:
        """Make the policy anew at the next call: the cache lives elsewhere now."""
        self._policy = None

    def perform(self, values: tuple[Any, ...]) -> Any:
        """Serve one call in this thread."""
        runtime = self.runtime
        if id(runtime) in switched_off.get():
            return self.run(values)
        policy = self._policy or self._first_policy(values)
        return runtime.backend.get_or_load(self.binding.call_of(values, policy))

    def perform_to_load(self, values: tuple[Any, ...], pending: PendingLoad) -> Any:
        """Serve one call in this thread; where the function has to run, `pending` holds it."""
        runtime = self.runtime
        if id(runtime) in switched_off.get():
            return self.run(values)
        policy = self._policy or self._first_policy(values)
        return runtime.backend.get_or_load(self.binding.call_of(values, policy), pending)

    def perform_async(self, values: tuple[Any, ...]) -> Coroutine[Any, Any, Any]:
        """Serve one call in this task."""
        runtime = self.runtime
        if id(runtime) in switched_off.get():
            return self.run(values)  # type: ignore[no-any-return]
        policy = self._policy or self._first_policy(values)
        return runtime.backend.aget_or_load(self.binding.call_of(values, policy))

    def run(self, values: tuple[Any, ...]) -> Any:
        """Call the function itself."""
        return loader_of(values, self.binding.loader)(*values)

    def call_of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """Return a handle's call for arguments as they are written.

        Where the cache is disabled, the front tier has no part in it.
        """
        call = self.call_with(self.signature.bind(args, kwargs))
        if id(self.runtime) in switched_off.get():
            return replace(call, policy=replace(call.policy, front=None))
        return call

    def call_with(self, values: tuple[Any, ...]) -> Call:
        """Return the call for values in signature order."""
        return self.binding.call_of(values, self._policy or self._first_policy(values))

    def key_for(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Return the key, without the namespace."""
        return self.binding.key_of(*self.signature.bind(args, kwargs))[len(self.binding.prefix) :]

    def invalidating(self, call: Call, env: Env) -> Flow[Invalidated]:
        """Delete what is stored for a call."""
        return invalidate((self.binding.doomed_key(call),), (), (), env, self.label)

    def expiring(self, call: Call, env: Env) -> Flow[Invalidated]:
        """Make what is stored for a call stale."""
        return expire((self.binding.doomed_key(call),), env, self.label)

    def clear(self) -> Invalidated:
        """Forget every result of this function and no other key; begin counting anew."""
        backend, binding = self.runtime.backend, self.binding
        flow = clear_function(binding.owner, binding.clears, backend.env, binding.label)
        done: Invalidated = backend.run(flow)
        self.counters.reset()
        if self.front is not None:
            self.front.clear_counters()
        return done

    def info(self) -> CacheInfo:
        """Count hits, misses and what this process keeps: all of it in memory, else in front."""
        counters, front = self.counters, self.front
        stored = self.runtime.backend.count_of(self.binding.owner)
        if front is None:
            return CacheInfo(counters.hits, counters.misses, None, stored or 0)
        size = front.size if stored is None else stored
        bound = int(front.store.maxsize)
        return CacheInfo(counters.hits + front.hits, counters.misses, bound, size)

    def parameters(self) -> dict[str, Any]:
        """Return the options as they hold: `maxsize` and `typed` as `lru_cache` names them."""
        ttl_ms = self.policy.ttl_ms
        return {
            "maxsize": None,
            "typed": True,
            "key": self.binding.label,
            "ttl": None if ttl_ms is None else ttl_ms / 1000,
            **{name: value for name, value in self._options.written.items() if name != "key"},
        }

    def _first_policy(self, values: tuple[Any, ...]) -> Policy:
        """Make the policy, with a look at the first call that needs it."""
        self.binding.look_at(values)
        return self.policy

    def _make_policy(self) -> Policy:
        self._clear_former()
        self.runtime.backend.tell_of_time_travel()
        self.runtime.share_stats()
        options, annotation = self._options, self.signature.return_annotation()
        return make_policy(
            self.label,
            options.codec_for(MISSING if annotation is ABSENT else annotation),
            options.policy,
            self.runtime.defaults,
            owner=self.signature.name,
            parameters=self.signature.parameters,
            tags_of=None if options.tags_of is None else self._tags_of_result,
            counters=self.counters,
            front=self.front if self.runtime.is_at_home else None,
            mark=self.binding.owner,
        )

    def _clear_former(self) -> None:
        """Clear the entries of functions that this one replaces.

        Not at decoration, which never touches a server. Two threads may both clear, so that
        neither reads what the other has yet to clear.
        """
        pending = self._definition.pending
        if pending and self.runtime.is_at_home:
            for former in tuple(pending):
                former.clear()
            pending.clear()

    def _tags_of_result(self, result: Any, *values: Any) -> tuple[str, ...]:
        """Return the full tags that the user's callable gives."""
        tags_of = self._options.tags_of
        assert tags_of is not None
        what = f"the result of tags of {self.signature.name}"
        given = several(tags_of(result, *values), what, 'return a list: ["…"]')
        return full_tags(self.binding.prefix, [user_tag(name) for name in given])


def _front_of(
    runtime: Runtime,
    signature: FunctionSignature,
    options: FunctionOptions,
    binding: CallBinding,
) -> FunctionFront | None:
    """Return the function's part of the front tier, if the cache has one."""
    own = to_own_front(options.front, signature.name)
    front = runtime.backend.front
    if front is None or options.front is False:
        return None
    # A hit of a compiled wrapper is over before anybody could have it checked.
    places = None if options.written.get("verify") else binding.indexed
    hints = signature.hints()
    annotated = [hints.get(signature.parameters[at]) for at in places or ()]
    # A value of these types is looked up as it is; of any other its type is part of the index.
    types = tuple([each if each in _INDEXED_TYPES else None for each in annotated])
    is_tagged = bool(options.written.get("tags"))
    return FunctionFront(front, places, types, own, is_tagged=is_tagged)
