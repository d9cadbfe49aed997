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
    """One cache for `def` and `async def`: this is its sync face, `aio` the other.

    `url` says where it lives (`redis://`, `rediss://`, `unix://`, `valkey://`, `valkeys://`,
    `memory://`, `null://`); without one, `DUALCACHE_URL` or `REDIS_CACHE_*`, else memory. Keys are
    `namespace:key`. `ttl` is the default lifetime in seconds (or `"5m"`, or a `timedelta`; `None`:
    for ever). `codec` and `secret` say how values are stored, unless a function says otherwise.
    `settings` stands for the environment. `clock` is for tests. Further options are those of the
    URL (`max_connections`, `socket_timeout`, …), `jitter`, `stale_if_error`, `strict`, `publish`,
    `client`, `async_client`, `credential_provider` and that of the Sentinels, `compress_above` and
    `max_value_bytes`.

    Nothing is connected before the first call. Raises `UsageError` for what cannot be right.
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
        """Return a cached form of a function of somebody else's; the function stays as it is.

        It is `cache(**options)(function)`: for builtins, partials, bound methods and classes, where
        no decorator can stand.
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
        """Decorate a function that takes several values and returns a mapping by them.

        `key` names one value: `"user:{user_id}"`. Each value has an entry of its own, and a call
        loads only what is missing. Raises `UsageError` for another kind of function.
        """
        if function is None:
            return lambda inner: self.many(inner, **options)
        refuse_no_function(function)
        from dualcache.functions.many import cached_many  # many programs have no such function

        return decorated_inside(function, lambda inner: cached_many(self._runtime, inner, options))

    def invalidates(
        self, *keys: str, tags: Sequence[str] = (), patterns: Sequence[str] = ()
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function whose success invalidates these templates of its arguments.

        A function that raises invalidates nothing. Its result is returned untouched. One that
        returns an awaitable invalidates when that has ended well. Raises `UsageError` where
        nothing is named.
        """
        return invalidating(self._runtime, keys, tags, patterns)

    def http(self, **options: Unpack[HttpOptions]) -> Callable[[F], F]:
        """Decorate an endpoint, a view of Flask or an application: its responses are kept.

        A hit runs neither dependencies nor serialization. Raises `UsageError` for what cannot be.
        """
        from dualcache.http.decorate import http_decorator  # most programs have no such endpoint

        return http_decorator(self, self._runtime, options)

    # Names

    def key(self, template: str, /, **values: object) -> str:
        """Build the name of a key or a tag from a template, escaped as the decorators do it."""
        return built_name(template, values)

    # Around it

    @property
    def client(self) -> redis.Redis:
        """The raw redis-py client; raises `MissingClientError` on `memory://` and `null://`."""
        return self._runtime.clients.sync()

    @contextmanager
    def disabled(self) -> Generator[None]:
        """Read and store nothing inside, in this task or thread; invalidations still run."""
        with self._runtime.disabled():
            yield

    # For tests

    @contextmanager
    def override(self, url: str, *, clock: Clock | None = None) -> Generator[Self]:
        """Live elsewhere inside, in all threads. What is there is closed afterwards.

        `clock` gives the time there, in seconds; without one it is the cache's own.
        """
        with self._runtime.override(url, clock):
            yield self

    @contextmanager
    def inject_fault(self, error: object = None, *, delay: Duration = 0) -> Generator[Self]:
        """Let each operation on the backend wait for `delay` and raise `error` inside.

        `error` is a `BackendError`, an `OSError` or an error of redis-py, or a type of these;
        `UsageError` for others. A delay beyond `socket_timeout` is a `BackendTimeout` after that.
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

        `wrap` is the program's own lifespan, which runs within: `cache.lifespan(wrap=own)`. Raises
        `UsageError` where a route that writes would be answered from the cache; warns of routes
        that were registered beneath the cache's decorator.
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
        """Close the connections of this loop and of the sync face."""
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
    """Enter `change(cache)` for each cache of the process, and for each that is made inside.

    A context manager, for tests: it leaves all of them at its end.
    """
    return living.changed(change)
