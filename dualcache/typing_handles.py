"""The types of handles, which depend on the colour of the function.

Each handle is a descriptor that looks at the function it belongs to, as its `owner`: an overload
chosen by `self` is not filtered by every checker. Nothing here runs.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    final,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from dualcache.core.entry import CacheInfo, Entry
    from dualcache.core.events import Cleared, Invalidated
    from dualcache.core.warmed import Warmed

P = ParamSpec("P")
Q = ParamSpec("Q")
K = TypeVar("K")
R = TypeVar("R")
V = TypeVar("V")
R_co = TypeVar("R_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)


class Call(Protocol[P, R_co]):
    """Anything that is called so: what the types of handles look at."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class Handle(Protocol[P, V_co]):
    """A handle of a `def`, called with the arguments of a call."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V_co: ...


class AsyncHandle(Protocol[P, V_co]):
    """A handle of an `async def`."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V_co: ...


class StoreHandle(Protocol[P, V_co]):
    """The handle `store` of a `def`: the value comes first."""

    def __call__(self, value: Any, /, *args: P.args, **kwargs: P.kwargs) -> V_co: ...


class AsyncStoreHandle(Protocol[P, V_co]):
    """The handle `store` of an `async def`."""

    async def __call__(self, value: Any, /, *args: P.args, **kwargs: P.kwargs) -> V_co: ...


class WarmHandle(Protocol[V_co]):
    """The handle `warm`."""

    def __call__(
        self,
        argument_tuples: Iterable[Any],
        /,
        *,
        concurrency: int = 8,
        on_progress: Callable[[Warmed], object] | None = None,
    ) -> V_co: ...


@final
class _Nothing:
    """Nothing is one of these: only a result of type `Any` fits it, which is no coroutine then."""


class CachedInClass(Generic[P, R_co]):
    """A decorated function reached through its class; a class method knows its class.

    It is not a protocol: a type checker that compares it part by part does not come to an end.
    """

    if TYPE_CHECKING:
        __name__: str
        __qualname__: str
        refresh: ClassVar[CallInClass]
        key_for: ClassVar[KeyForInClass]
        invalidate: ClassVar[InvalidateInClass]
        expire: ClassVar[InvalidateInClass]
        peek: ClassVar[PeekInClass]
        store: ClassVar[StoreInClass]
        warm: ClassVar[WarmInClass]
        cache_clear: ClassVar[Callable[[], Invalidated]]

        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
        @overload
        def __call__(
            self: CachedInClass[Concatenate[type[Any], Q], R], *args: Q.args, **kwargs: Q.kwargs
        ) -> R: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

        @property
        def __wrapped__(self) -> Callable[..., R_co]: ...
        def cache_info(self) -> CacheInfo: ...
        def cache_parameters(self) -> dict[str, Any]: ...


class CallInClass(Protocol):
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], R], kind: type, /
    ) -> Callable[Q, R]: ...
    @overload
    def __get__(self, owner: CachedInClass[P, R], kind: type, /) -> Callable[P, R]: ...


class KeyForInClass(Protocol):
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], Any], kind: type, /
    ) -> Callable[Q, str]: ...
    @overload
    def __get__(self, owner: CachedInClass[P, Any], kind: type, /) -> Callable[P, str]: ...


class CacheClear(Protocol):
    @overload
    def __get__(self, owner: Call[..., _Nothing], kind: type, /) -> Callable[[], Invalidated]: ...
    @overload
    def __get__(
        self, owner: Call[..., Coroutine[Any, Any, Any]], kind: type, /
    ) -> Callable[[], Cleared]: ...
    @overload
    def __get__(self, owner: Call[..., Any], kind: type, /) -> Callable[[], Invalidated]: ...


class Warm(Protocol):
    @overload
    def __get__(self, owner: Call[..., _Nothing], kind: type, /) -> WarmHandle[Warmed]: ...
    @overload
    def __get__(
        self, owner: Call[..., Coroutine[Any, Any, Any]], kind: type, /
    ) -> WarmHandle[Coroutine[Any, Any, Warmed]]: ...
    @overload
    def __get__(self, owner: Call[..., Any], kind: type, /) -> WarmHandle[Warmed]: ...


class WarmInClass(Protocol):
    @overload
    def __get__(self, owner: CachedInClass[..., _Nothing], kind: type, /) -> WarmHandle[Warmed]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[..., Coroutine[Any, Any, Any]], kind: type, /
    ) -> WarmHandle[Coroutine[Any, Any, Warmed]]: ...
    @overload
    def __get__(self, owner: CachedInClass[..., Any], kind: type, /) -> WarmHandle[Warmed]: ...


class Invalidate(Protocol):
    @overload
    def __get__(self, owner: Call[P, _Nothing], kind: type, /) -> Handle[P, Invalidated]: ...
    @overload
    def __get__(
        self, owner: Call[P, Coroutine[Any, Any, Any]], kind: type, /
    ) -> AsyncHandle[P, Invalidated]: ...
    @overload
    def __get__(self, owner: Call[P, Any], kind: type, /) -> Handle[P, Invalidated]: ...


class InvalidateInClass(Protocol):
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], _Nothing], kind: type, /
    ) -> Handle[Q, Invalidated]: ...
    @overload
    def __get__(
        self,
        owner: CachedInClass[Concatenate[type[Any], Q], Coroutine[Any, Any, Any]],
        kind: type,
        /,
    ) -> AsyncHandle[Q, Invalidated]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], Any], kind: type, /
    ) -> Handle[Q, Invalidated]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[P, _Nothing], kind: type, /
    ) -> Handle[P, Invalidated]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[P, Coroutine[Any, Any, Any]], kind: type, /
    ) -> AsyncHandle[P, Invalidated]: ...
    @overload
    def __get__(self, owner: CachedInClass[P, Any], kind: type, /) -> Handle[P, Invalidated]: ...


class Peek(Protocol):
    @overload
    def __get__(self, owner: Call[P, _Nothing], kind: type, /) -> Handle[P, Entry[Any] | None]: ...
    @overload
    def __get__(
        self, owner: Call[P, Coroutine[Any, Any, R]], kind: type, /
    ) -> AsyncHandle[P, Entry[R] | None]: ...
    @overload
    def __get__(self, owner: Call[P, R], kind: type, /) -> Handle[P, Entry[R] | None]: ...


class PeekMany(Protocol):
    @overload
    def __get__(self, owner: Call[P, _Nothing], kind: type, /) -> Handle[P, dict[Any, Any]]: ...
    @overload
    def __get__(
        self, owner: Call[P, Coroutine[Any, Any, Mapping[K, V]]], kind: type, /
    ) -> AsyncHandle[P, dict[K, Entry[V]]]: ...
    @overload
    def __get__(
        self, owner: Call[P, Mapping[K, V]], kind: type, /
    ) -> Handle[P, dict[K, Entry[V]]]: ...


class PeekInClass(Protocol):
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], _Nothing], kind: type, /
    ) -> Handle[Q, Entry[Any] | None]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], Coroutine[Any, Any, R]], kind: type, /
    ) -> AsyncHandle[Q, Entry[R] | None]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], R], kind: type, /
    ) -> Handle[Q, Entry[R] | None]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[P, _Nothing], kind: type, /
    ) -> Handle[P, Entry[Any] | None]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[P, Coroutine[Any, Any, R]], kind: type, /
    ) -> AsyncHandle[P, Entry[R] | None]: ...
    @overload
    def __get__(self, owner: CachedInClass[P, R], kind: type, /) -> Handle[P, Entry[R] | None]: ...


class Store(Protocol):
    @overload
    def __get__(self, owner: Call[P, _Nothing], kind: type, /) -> StoreHandle[P, bool]: ...
    @overload
    def __get__(
        self, owner: Call[P, Coroutine[Any, Any, Any]], kind: type, /
    ) -> AsyncStoreHandle[P, bool]: ...
    @overload
    def __get__(self, owner: Call[P, Any], kind: type, /) -> StoreHandle[P, bool]: ...


class StoreInClass(Protocol):
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], _Nothing], kind: type, /
    ) -> StoreHandle[Q, bool]: ...
    @overload
    def __get__(
        self,
        owner: CachedInClass[Concatenate[type[Any], Q], Coroutine[Any, Any, Any]],
        kind: type,
        /,
    ) -> AsyncStoreHandle[Q, bool]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[Concatenate[type[Any], Q], Any], kind: type, /
    ) -> StoreHandle[Q, bool]: ...
    @overload
    def __get__(self, owner: CachedInClass[P, _Nothing], kind: type, /) -> StoreHandle[P, bool]: ...
    @overload
    def __get__(
        self, owner: CachedInClass[P, Coroutine[Any, Any, Any]], kind: type, /
    ) -> AsyncStoreHandle[P, bool]: ...
    @overload
    def __get__(self, owner: CachedInClass[P, Any], kind: type, /) -> StoreHandle[P, bool]: ...
