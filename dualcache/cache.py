"""`Cache`: the sync face, the decorators, and the parts connected.

Methods only hand over: what is decided is in `engine/`, what is performed in `drivers/`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, overload

from dualcache.async_cache import AsyncCache
from dualcache.configuration import configure
from dualcache.core.entry import MISSING
from dualcache.functions.decorate import decorated
from dualcache.functions.first_argument import refuse_no_function
from dualcache.functions.function import OPTIONS, cached_function
from dualcache.functions.invalidates import invalidating
from dualcache.functions.methods import decorated_inside
from dualcache.keys.templates import built_name
from dualcache.observed_face import ObservedFace
from dualcache.operations import Operations
from dualcache.runtime import living
from dualcache.runtime.runtime import Runtime
from dualcache.sync_face import SyncFace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Self, Unpack

    import redis
    from typing_extensions import ParamSpec, TypeVar

    from dualcache.options.front_tier import FrontTier
    from dualcache.typing import (
        CachedFunction,
        CachedMany,
        Clock,
        Codec,
        Decorator,
        Duration,
        Lifespan,
        ManyDecorator,
        Secret,
        Url,
    )
    from dualcache.typing_options import CacheOptions, DecoratorOptions, HttpOptions, ManyOptions

    P = ParamSpec("P")
    R = TypeVar("R")
    F = TypeVar("F", bound=Callable[..., Any])


class Cache(SyncFace, ObservedFace):
    """One cache for `def` and `async def`; `cache.aio` has the same methods as coroutines.

    `url` says where the cache is: `redis://`, `rediss://`, `unix://`, `valkey://`, `valkeys://`,
    `memory://` or `null://`. Without a URL, `DUALCACHE_URL` or `REDIS_CACHE_*` say it, and
    otherwise the cache is in memory. A key in Redis is `namespace:key`. `ttl` is the default
    lifetime: seconds, `"5m"`, a `timedelta`, or `None` for ever. `codec` and `secret` say how
    values are stored; a function can choose another codec. `settings` replaces the environment.
    `clock` is for tests.

    The other options are those of the URL (`max_connections`, `socket_timeout`, …), the defaults of
    functions (`jitter`, `stale_if_error`, …), `strict`, `publish`, `client`, `async_client`,
    `credential_provider` and `sentinel_credential_provider`.

    The cache connects at the first call. Raises `UsageError` for options that cannot be right.
    """

    def __init__(
        self,
        url: Url | None = None,
        *,
        namespace: str = "",
        ttl: Duration | Any | None = MISSING,
        codec: str | Codec | None = None,
        secret: Secret | Sequence[Secret] | None = None,
        front: FrontTier | int | None = None,
        max_staleness: Duration = 5,
        settings: object = None,
        clock: Clock | None = None,
        **policy: Unpack[CacheOptions],
    ) -> None:
        made = configure(
            url,
            namespace=namespace,
            ttl=ttl,
            front=front,
            max_staleness=max_staleness,
            settings=settings,
            options={**policy},
        )
        self._runtime = Runtime(made, codec, secret, clock)
        self._operations = Operations(self._runtime)
        self.aio = AsyncCache(self._runtime, self._operations)
        living.made(self)

    def __repr__(self) -> str:
        return repr(self._runtime)

    # Decorators

    @overload
    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...
    @overload
    def __call__(
        self, prefix: str | None = None, /, *more: Any, **options: Unpack[DecoratorOptions]
    ) -> Decorator: ...

    def __call__(self, function: Any = None, /, *more: Any, **options: Any) -> Any:
        """Decorate a function: bare, or with the options of the documentation's reference.

        A text in the place of the function is the `key_prefix` of an endpoint; its other options
        may follow by their positions.
        """
        if more or isinstance(function, str):
            from dualcache.endpoints.options import positional

            return self(**positional((function, *more), options))
        if function is None:
            return lambda inner: self._decorated(inner, options)
        refuse_no_function(function)
        return self._decorated(function, options)

    def memoize(
        self, function: Callable[P, R], /, **options: Unpack[DecoratorOptions]
    ) -> CachedFunction[P, R]:
        """Return a cached form of a function that you cannot decorate; the function is unchanged.

        It is `cache(**options)(function)`, for builtins, partials, bound methods and classes.
        """
        refuse_no_function(function)
        return self._decorated(function, {**options})  # type: ignore[no-any-return]

    @overload
    def many(
        self, function: Callable[P, R], /, **options: Unpack[ManyOptions]
    ) -> CachedMany[P, R]: ...
    @overload
    def many(self, function: None = None, /, **options: Unpack[ManyOptions]) -> ManyDecorator: ...

    def many(self, function: Any = None, /, **options: Any) -> Any:
        """Decorate a function that takes several values and returns a mapping from them.

        `key` names one value: `"user:{user_id}"`. Each value has a separate entry, and a call loads
        only the missing ones. Raises `UsageError` for another kind of function.
        """
        if function is None:
            return lambda inner: self.many(inner, **options)
        refuse_no_function(function)
        from dualcache.functions.many import cached_many  # many programs have no such function

        return decorated_inside(function, lambda inner: cached_many(self._runtime, inner, options))

    def invalidates(
        self, *keys: str, tags: Sequence[str] = (), patterns: Sequence[str] = ()
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function that writes: its success invalidates these names.

        The names are templates of its arguments. If the function raises, nothing is invalidated.
        The result is returned as it is. If it is awaitable, the invalidation happens after it has
        succeeded. Raises `UsageError` if nothing is named.
        """
        return invalidating(self._runtime, keys, tags, patterns)

    def http(self, **options: Unpack[HttpOptions]) -> Callable[[F], F]:
        """Decorate an endpoint, a Flask view or an application to keep its whole responses.

        A hit runs neither dependencies nor serialization. Raises `UsageError` for wrong options.
        """
        from dualcache.http.decorate import http_decorator  # most programs have no such endpoint

        return http_decorator(self, self._runtime, options)

    # Names

    def key(self, template: str, /, **values: object) -> str:
        """Build the name of a key or a tag from a template; values are escaped as in decorators."""
        return built_name(template, values)

    # Around it

    @property
    def client(self) -> redis.Redis:
        """The raw redis-py client. Raises `MissingClientError` on `memory://` and `null://`."""
        return self._runtime.clients.sync()

    @contextmanager
    def disabled(self) -> Generator[None]:
        """Neither read nor store inside, in this task or thread; invalidations still run."""
        with self._runtime.disabled():
            yield

    # For tests

    @contextmanager
    def override(self, url: str, *, clock: Clock | None = None) -> Generator[Self]:
        """Use another place inside, in all threads; its contents are closed at the end.

        `clock` gives the time there, in seconds. Without it, the cache's own clock is used.
        """
        with self._runtime.override(url, clock):
            yield self

    @contextmanager
    def inject_fault(self, error: object = None, *, delay: Duration = 0) -> Generator[Self]:
        """Make each operation on the backend wait for `delay` and raise `error` inside.

        `error` is a `BackendError`, an `OSError` or an error of redis-py, or a type of these.
        Raises `UsageError` for others. A delay longer than `socket_timeout` becomes a
        `BackendTimeout`.
        """
        from dualcache.runtime.faults import injected, to_fault

        runtime = self._runtime
        fault = to_fault(error, delay, budget=runtime.socket_timeout)
        with injected(runtime.backend, fault):
            yield self

    # With the program

    @overload
    def lifespan(self, app: object = None) -> AbstractAsyncContextManager[Any]: ...
    @overload
    def lifespan(self, *, wrap: Lifespan) -> Lifespan: ...

    def lifespan(self, app: object = None, *, wrap: Lifespan | None = None) -> Any:
        """Open and close with an ASGI application: `FastAPI(lifespan=cache.lifespan)`.

        To keep a lifespan of your program, write `cache.lifespan(wrap=own)`. Raises `UsageError` if
        a route that writes would be answered from the cache. Warns of routes that are registered
        below the cache's decorator.
        """
        from dualcache.http.lifespan import opened

        if wrap is None:
            return opened(self, self._runtime, app)
        return lambda app: opened(self, self._runtime, app, wrap)

    def close(self) -> None:
        """Close the connections of the sync face; the next call opens them again."""
        self._runtime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop and of the sync face."""
        await self.aio.aclose()

    async def __aenter__(self) -> Self:
        await self.aio.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _decorated(self, function: Any, options: dict[str, Any]) -> Any:
        if isinstance(function, staticmethod | classmethod):
            return decorated_inside(function, lambda inner: self._decorated(inner, options))
        if options.keys() <= {*OPTIONS}:
            return decorated(cached_function(self._runtime, function, options))
        from dualcache.endpoints.endpoint import cached_endpoint
        from dualcache.endpoints.options import is_endpoint  # most programs have no endpoint

        if not is_endpoint(options):
            return decorated(cached_function(self._runtime, function, options))
        endpoint = cached_endpoint(self._runtime, function, options)
        return decorated(endpoint.cached, endpoint)


def each_cache(
    change: Callable[[Cache], AbstractContextManager[object]],
) -> AbstractContextManager[None]:
    """Enter `change(cache)` for each cache of this process, and for each cache made inside.

    A context manager for tests. It leaves all of them at its end.
    """
    return living.changed(change)
