"""Protocols that users implement. Nothing here runs."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import timedelta

    from dualcache.core.entry import Entry
    from dualcache.core.events import Event, Invalidated

__all__ = [
    "CachedCoroutine",
    "CachedFunction",
    "Clock",
    "Codec",
    "Decorator",
    "DecoratorOptions",
    "Duration",
    "Observer",
    "Secret",
    "Url",
]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")

Duration: TypeAlias = "float | str | timedelta"
"""Seconds, or `"5m"` and `"1h30m"` as text, or a `timedelta`."""


class HiddenText(Protocol):
    """A secret of pydantic's, which does not show itself."""

    def get_secret_value(self) -> str | bytes: ...


class UrlValue(Protocol):
    """A URL of pydantic's."""

    def unicode_string(self) -> str: ...


Secret: TypeAlias = "str | bytes | HiddenText"  # noqa: S105  a type
Url: TypeAlias = "str | HiddenText | UrlValue"


class Codec(Protocol):
    """Turns values into bytes and back; give an instance as `codec=`.

    `decode(encode(value))` must give an equal value of the same type, in every process. `decode`
    may raise anything for bytes it did not make: the read is a miss.
    """

    def encode(self, value: Any, /) -> bytes: ...

    def decode(self, data: bytes, /) -> Any: ...


class Clock(Protocol):
    """Seconds since the epoch, as `time.time` gives them; give one as `Cache(clock=…)` in tests."""

    def __call__(self) -> float: ...


Observer: TypeAlias = "Callable[[Event], None]"
"""Called with each event; an observer that raises is counted and otherwise ignored."""


class CachedFunction(Protocol[P, R_co]):
    """A decorated `def`: called as before, with handles on what is stored for a call."""

    __wrapped__: Callable[..., Any]
    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __get__(self, owner: None, kind: type, /) -> CachedFunction[P, R_co]: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], R], owner: S, kind: type | None = None, /
    ) -> CachedFunction[Q, R]: ...
    @overload
    def __get__(self, owner: object, kind: type | None = None, /) -> CachedFunction[P, R_co]: ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Invalidated: ...
    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Entry | None: ...
    def store(self, value: Any, /, *args: P.args, **kwargs: P.kwargs) -> bool: ...
    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str: ...
    def cache_info(self) -> Any: ...
    def cache_clear(self) -> Any: ...
    def cache_parameters(self) -> dict[str, Any]: ...


class CachedCoroutine(Protocol[P, R_co]):
    """A decorated `async def`: a coroutine function as before; handles that act are coroutines."""

    __wrapped__: Callable[..., Any]
    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]: ...

    @overload
    def __get__(self, owner: None, kind: type, /) -> CachedCoroutine[P, R_co]: ...
    @overload
    def __get__(
        self: CachedCoroutine[Concatenate[S, Q], R], owner: S, kind: type | None = None, /
    ) -> CachedCoroutine[Q, R]: ...
    @overload
    def __get__(self, owner: object, kind: type | None = None, /) -> CachedCoroutine[P, R_co]: ...

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Invalidated: ...
    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    async def peek(self, *args: P.args, **kwargs: P.kwargs) -> Entry | None: ...
    async def store(self, value: Any, /, *args: P.args, **kwargs: P.kwargs) -> bool: ...
    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str: ...
    def cache_info(self) -> Any: ...
    def cache_clear(self) -> Any: ...
    def cache_parameters(self) -> dict[str, Any]: ...


class DecoratorOptions(TypedDict, total=False):
    """The options of `cache(...)`; what each means is in the reference."""

    ttl: Any
    expiration: Any
    key: str
    tags: Any
    jitter: float
    stale_if_error: Any
    stale_on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], object] | None
    condition: Callable[..., object]
    ignore: Sequence[str]
    vary: Callable[..., Any]
    version: object
    typed_key: bool
    name: str
    codec: Any
    check: bool
    compress_above: int | None
    max_value_bytes: int
    front: Any
    key_prefix: str
    resource_id_name: str | tuple[str, ...] | None
    resource_id_type: type | tuple[type, ...]
    to_invalidate_extra: dict[str, str] | None
    pattern_to_invalidate_extra: list[str] | None
    query: bool | str | Sequence[str] | None


class Decorator(Protocol):
    """What `cache(...)` returns: keeps parameters, result and colour of what it decorates."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine function is a function too
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> CachedCoroutine[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...
