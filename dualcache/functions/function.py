"""The decorators: options checked, names compiled, handles attached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.callables import adapted
from dualcache.core.entry import MISSING, CacheInfo
from dualcache.core.policy import Call, Counters, Policy
from dualcache.core.scope import switched_off
from dualcache.engine.invalidation import clear_function, invalidate
from dualcache.front.of_function import FunctionFront
from dualcache.functions.advice import unnamed_parameters, warn
from dualcache.functions.binding import Binding, Naming
from dualcache.keys.names import full_tags, several, user_tag
from dualcache.keys.signature import ABSENT, FunctionSignature
from dualcache.options.front_tier import to_own_front
from dualcache.options.option import Part, Where
from dualcache.options.policy import make_policy
from dualcache.options.table import SPELLINGS, names
from dualcache.options.written import by_name, chosen, refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from dualcache.core.entry import ValueCodec
    from dualcache.core.events import Invalidated
    from dualcache.core.ops import Flow
    from dualcache.core.pending import PendingLoad
    from dualcache.engine.env import Env
    from dualcache.runtime.runtime import Runtime

KEY_OPTIONS: Final = names(Where.DECORATOR, Part.KEY)
POLICY_OPTIONS: Final = names(Where.DECORATOR, Part.POLICY)
VALUE_OPTIONS: Final = names(Where.DECORATOR, Part.VALUE)
INDEXED_TYPES: Final = (int, str, bytes, bool)
"""Annotations that are types whose equal values have equal keys."""


class Cached:
    """One decorated function of one cache: runs its calls, and is behind its handles."""

    known: tuple[str, ...] = (*names(Where.DECORATOR), *SPELLINGS)
    """The options that this spelling has."""
    stops_at_load = True
    """Whether the wrapper itself may run a sync function, with no frame of the cache between."""

    def __init__(
        self, runtime: Runtime, function: Callable[..., Any], options: dict[str, Any]
    ) -> None:
        self.runtime = runtime
        self.options = options
        self.signature = FunctionSignature.of(function)
        refuse_unknown(options, self.known, owner=self.signature.name)
        policy_options = chosen(by_name(options, owner=self.signature.name), POLICY_OPTIONS)
        make_policy(  # checked now, so that what is wrong is told at decoration
            "",
            self.value_codec(MISSING),
            policy_options,
            runtime.defaults,
            owner=self.signature.name,
            parameters=self.signature.parameters,
        )
        naming = chosen(options, KEY_OPTIONS)
        tags = naming.get("tags", ())
        self.tags_of: Callable[..., Any] | None = None
        if callable(tags):
            self.tags_of = adapted(
                tags, self.signature.parameters, option="tags", owner=self.signature.name
            )
            naming["tags"] = ()
        self.policy_options = policy_options
        self.counters = Counters()
        self.binding = self.bound(Naming(**naming))
        self.advise()
        self.definition = runtime.definitions.admit(
            self.signature,
            self.binding.label,
            ignore=options.get("ignore", ()),
            holder=self,
            is_named=self.options.get("name") is not None,
            has_template=self.has_template,
            is_shared=runtime.is_shared,
        )
        self.front = self.function_front()
        runtime.functions.add(self)

    def advise(self) -> None:
        """Warn of a key that tells less apart than the arguments do."""
        key = self.options.get("key")
        if key is not None and self.options.get("vary") is None:
            for line in unnamed_parameters(self.signature, key, self.options.get("ignore", ())):
                warn(line)

    @property
    def has_template(self) -> bool:
        """Whether the user names the keys, and not the function."""
        return self.options.get("key") is not None

    def function_front(self) -> FunctionFront | None:
        """Return this function's part of the front tier, if the cache has one."""
        wanted = self.options.get("front", True)
        own = to_own_front(wanted, self.signature.name)
        front = self.runtime.backend.front
        if front is None or wanted is False:
            return None
        positions = self.binding.indexed
        types = self.indexed_types(positions or ())
        is_tagged = bool(self.options.get("tags"))
        return FunctionFront(front, positions, types, own, is_tagged=is_tagged)

    def indexed_types(self, positions: Sequence[int]) -> tuple[type | None, ...]:
        """Return the annotated type of each value, where its own type need not be looked at."""
        hints = self.signature.hints()
        annotated = [hints.get(self.signature.parameters[at]) for at in positions]
        return tuple([each if each in INDEXED_TYPES else None for each in annotated])

    def bound(self, naming: Naming) -> Binding:
        """Return how calls of the function become keys."""
        return Binding(
            self.signature,
            naming,
            self.make_policy,
            prefix=self.runtime.prefix,
            is_shared=self.runtime.is_shared,
        )

    def value_codec(self, annotation: Any) -> ValueCodec:
        """Return how results are stored; `annotation` is what the function returns."""
        own = chosen(self.options, VALUE_OPTIONS)
        return self.runtime.codecs.codec_for(annotation, **own)

    def make_policy(self, binding: Binding) -> Policy:
        """Make the policy when annotations can be resolved: at the first call."""
        self.clear_former()
        self.runtime.backend.tell_of_time_travel()
        annotation = self.signature.return_annotation()
        return make_policy(
            binding.label,
            self.value_codec(MISSING if annotation is ABSENT else annotation),
            self.policy_options,
            self.runtime.defaults,
            owner=self.signature.name,
            parameters=self.signature.parameters,
            tags_of=None if self.tags_of is None else self.tags_of_result,
            counters=self.counters,
            front=self.front if self.runtime.is_at_home else None,
            mark=binding.owner,
        )

    def clear_former(self) -> None:
        """Clear the entries of functions that this one replaces.

        Not at decoration, which never touches a server. Two threads may both clear, so that
        neither reads what the other has yet to clear.
        """
        pending = self.definition.pending
        if pending and self.runtime.is_at_home:
            for former in tuple(pending):
                former.clear()
            pending.clear()

    def tags_of_result(self, result: Any, *values: Any) -> tuple[str, ...]:
        """Return the full tags that the user's callable gives."""
        assert self.tags_of is not None
        what = f"what tags of {self.signature.name} returned"
        names = several(self.tags_of(result, *values), what, 'return a list: ["…"]')
        return full_tags(self.binding.prefix, [user_tag(name) for name in names])

    def perform(self, values: tuple[Any, ...]) -> Any:
        """Serve one call in this thread."""
        runtime = self.runtime
        if id(runtime) in switched_off.get():
            return self.binding.run(values)
        return runtime.backend.get_or_load(self.binding.call_of(values))

    def perform_to_load(self, values: tuple[Any, ...], pending: PendingLoad) -> Any:
        """Serve one call in this thread; where the function has to run, `pending` holds it."""
        runtime = self.runtime
        if id(runtime) in switched_off.get():
            return self.binding.run(values)
        return runtime.backend.get_or_load(self.binding.call_of(values), pending)

    def perform_async(self, values: tuple[Any, ...]) -> Coroutine[Any, Any, Any]:
        """Serve one call in this task."""
        runtime = self.runtime
        if id(runtime) in switched_off.get():
            return self.binding.run(values)  # type: ignore[no-any-return]
        return runtime.backend.aget_or_load(self.binding.call_of(values))

    def call_of(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Call:
        """Return the call for arguments as they are written."""
        return self.binding.call_of(self.signature.bind(args, kwargs))

    def key_for(self, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        """Return the key, without the namespace."""
        return self.binding.key_of(*self.signature.bind(args, kwargs))[len(self.binding.prefix) :]

    def invalidating(self, call: Call, env: Env) -> Flow[Invalidated]:
        """Delete what is stored for a call."""
        return invalidate((call.key,), (), (), env, self.binding.label)

    @property
    def label(self) -> str:
        """The key template or the dotted name, for events and statistics."""
        return self.binding.label

    def forget_policy(self) -> None:
        """Make the policy anew at the next call: the cache lives elsewhere now."""
        self.binding.forget_policy()

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
        policy = self.binding.policy
        return {
            "maxsize": None,
            "typed": True,
            "key": self.binding.label,
            "ttl": None if policy.ttl_ms is None else policy.ttl_ms / 1000,
            **{name: value for name, value in self.options.items() if name != "key"},
        }
