"""Protocols that you implement, and the types of decorated functions. Nothing here runs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    overload,
)

from dualcache.typing_handles import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from datetime import timedelta

    from dualcache.core.entry import CacheInfo
    from dualcache.core.events import Event
    from dualcache.typing_handles import (
        CacheClear,
        CachedInClass,
        Invalidate,
        Peek,
        PeekMany,
        Store,
        Warm,
    )

__all__ = [
    "CachedCoroutine",
    "CachedFunction",
    "CachedMany",
    "Clock",
    "Codec",
    "Decorator",
    "Duration",
    "Lifespan",
    "ManyDecorator",
    "Observer",
    "Secret",
    "Tracer",
    "Url",
]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")

Duration: TypeAlias = "float | str | timedelta"
"""Seconds, or `"5m"` and `"1h30m"` as text, or a `timedelta`."""
Lifespan: TypeAlias = "Callable[[Any], AbstractAsyncContextManager[Any]]"
"""The lifespan of an ASGI application: what it does from its start to its end."""


class HiddenText(Protocol):
    """A secret of pydantic, which hides its value when it is shown."""

    def get_secret_value(self) -> str | bytes: ...


class UrlValue(Protocol):
    """A URL of pydantic."""

    def unicode_string(self) -> str: ...


Secret: TypeAlias = "str | bytes | HiddenText"  # noqa: S105  a type
Url: TypeAlias = "str | HiddenText | UrlValue"


class Tracer(Protocol):
    """Makes spans of the cache's work; give one to `cache.trace`.

    The spans are `cache.get`, `cache.get_many`, `cache.refresh`, `cache.refresh_many`, `cache.load`
    and `cache.invalidate`. If a tracer raises, the call fails. `include_keys`: the events given to
    `end` have the keys that they are about.
    """

    include_keys: bool

    def is_recording(self) -> bool:
        """Return whether the current span is recorded; called for each call, so be quick."""
        ...

    def begin(self, name: str, template: str, parent: Any = None) -> Any:
        """Return a new span under `parent` or the current span; `None` if it is not recorded.

        `parent` is a span that `begin` returned. It may have ended: a load in the background may
        begin after its call.
        """

    def entered(self, span: Any) -> AbstractContextManager[object]:
        """Make a span the current one inside, so that the loader's spans are its children."""
        ...

    def context_of(self, span: Any) -> str:
        """Return the trace context of a span, as a `traceparent`."""
        ...

    def end(self, span: Any, events: Sequence[Event], error: BaseException | None) -> None:
        """End a span; `events` are those of its call, in order; `error` is the exception."""
        ...


class Codec(Protocol):
    """Turns values into bytes and back; give an instance as `codec=`.

    `decode(encode(value))` must give an equal value of the same type, in every process. `decode`
    may raise anything for bytes that it did not make: then the read is a miss.
    """

    def encode(self, value: Any, /) -> bytes: ...

    def decode(self, data: bytes, /) -> Any: ...


class Clock(Protocol):
    """Seconds since the epoch, as from `time.time`; give one as `Cache(clock=…)` in tests."""

    def __call__(self) -> float: ...


Observer: TypeAlias = "Callable[[Event], None]"
"""Called with each event; an observer that raises is counted and otherwise ignored."""


class CachedFunction(Call[P, R_co], Protocol[P, R_co]):
    """A decorated function: you call it as before, and it has handles on its entries.

    The handles that act are coroutines if the function is one. In a class it becomes a method, as a
    function does.
    """

    __name__: str
    __qualname__: str
    invalidate: ClassVar[Invalidate]
    expire: ClassVar[Invalidate]
    peek: ClassVar[Peek]
    store: ClassVar[Store]
    warm: ClassVar[Warm]
    cache_clear: ClassVar[CacheClear]

    @property
    def __wrapped__(self) -> Callable[..., R_co]: ...

    @overload
    def __get__(self, owner: None, kind: type, /) -> CachedInClass[P, R_co]: ...
    @overload
    def __get__(
        self: Call[Concatenate[S, Q], R], owner: S, kind: type | None = None, /
    ) -> CachedFunction[Q, R]: ...
    @overload
    def __get__(self, owner: object, kind: type | None = None, /) -> CachedInClass[P, R_co]: ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_parameters(self) -> dict[str, Any]: ...


class CachedMany(Call[P, R_co], Protocol[P, R_co]):
    """A decorated function of many values: its handles take the arguments of a call."""

    __name__: str
    __qualname__: str
    invalidate: ClassVar[Invalidate]
    expire: ClassVar[Invalidate]
    peek: ClassVar[PeekMany]
    cache_clear: ClassVar[CacheClear]

    @property
    def __wrapped__(self) -> Callable[..., R_co]: ...

    @overload
    def __get__(self, owner: None, kind: type, /) -> CachedMany[P, R_co]: ...
    @overload
    def __get__(
        self: Call[Concatenate[S, Q], R], owner: S, kind: type | None = None, /
    ) -> CachedMany[Q, R]: ...
    @overload
    def __get__(self, owner: object, kind: type | None = None, /) -> CachedMany[P, R_co]: ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> list[str]: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_parameters(self) -> dict[str, Any]: ...


CachedCoroutine: TypeAlias = CachedFunction[P, Coroutine[Any, Any, R]]
"""A decorated `async def`."""


class Decorator:
    """The result of `cache(...)`: keeps the parameters, result and colour of the function.

    It is not a protocol: a cached function would match it too, and `cache(anything)` would be a
    decorator.
    """

    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]:
        raise NotImplementedError


class ManyDecorator:
    """The result of `cache.many(...)`: a decorator that keeps the types of the function."""

    def __call__(self, function: Callable[P, R], /) -> CachedMany[P, R]:
        raise NotImplementedError
