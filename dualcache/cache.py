"""`Cache`: the sync face, the decorators, and the parts connected.

Methods only hand over: what is decided is in `engine/`, what is performed in `drivers/`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from dualcache.async_cache import AsyncCache
from dualcache.backends.redis.clients import Clients
from dualcache.configuration import configure
from dualcache.core.entry import MISSING
from dualcache.core.scope import switched_off
from dualcache.drivers.forking import renew_in_children
from dualcache.functions.first_argument import refuse_no_function
from dualcache.functions.function import Cached
from dualcache.functions.invalidates import invalidating
from dualcache.functions.methods import decorated_inside
from dualcache.keys.templates import built_name
from dualcache.observability.stats import Observers, stats_of
from dualcache.operations import Operations
from dualcache.options.target import parse_url
from dualcache.runtime.backend import Backend
from dualcache.runtime.definitions import Definitions
from dualcache.runtime.registry import Registry
from dualcache.sync_face import SyncFace

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Callable,
        Generator,
        Sequence,
    )
    from typing import Self, Unpack

    import redis
    from typing_extensions import ParamSpec, TypeVar

    from dualcache.observability.stats import Stats
    from dualcache.options.front_tier import FrontTier
    from dualcache.typing import (
        CachedFunction,
        CacheOptions,
        Clock,
        Codec,
        Decorator,
        DecoratorOptions,
        Duration,
        Observer,
        Secret,
        Url,
    )

    P = ParamSpec("P")
    R = TypeVar("R")


class Cache(SyncFace):
    """One cache for `def` and `async def`: this is its sync face, `aio` the other.

    `url` says where it lives (`redis://`, `rediss://`, `unix://`, `valkey://`, `valkeys://`,
    `memory://`, `null://`); without one, `DUALCACHE_URL` or `REDIS_CACHE_*`, else memory. Keys are
    `namespace:key`. `ttl` is the default lifetime in seconds (or `"5m"`, or a `timedelta`; `None`:
    for ever). `codec` and `secret` say how values are stored, unless a function says otherwise.
    `settings` stands for the environment. `clock` is for tests. Further options are those of the
    URL (`max_connections`, `socket_timeout`, …), `jitter`, `stale_if_error`, `strict`, `publish`,
    `client`, `async_client`, `compress_above` and `max_value_bytes`.

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
        self._observers = Observers()
        self._clock = clock
        self._max_staleness = made.max_staleness
        self._is_strict = made.is_strict
        self._is_publishing = made.is_publishing
        self._functions = Registry()
        self.definitions = Definitions()
        is_shared = made.target.kind == "redis"
        self.operations = Operations(
            made.prefix, made.defaults, codec, secret, is_shared=is_shared, limits=made.limits
        )
        self.operations.recipe()  # so that what cannot be right is told now
        self.backend = self._own_backend = self._backend_for(made.target, made.front)
        self._null_backend = self._backend_for(parse_url("null://"))
        self.clients = Clients(made.target, made.client, made.async_client)
        self.aio = AsyncCache(self)
        if not made.is_enabled:
            self.backend = self._null_backend
        renew_in_children(self)

    def __repr__(self) -> str:
        namespace = self.operations.prefix.removesuffix(":")
        return f"Cache({self.backend.target.safe_url!r}, namespace={namespace!r})"

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
            return lambda decorated: self._decorated(decorated, options)
        refuse_no_function(function)
        return self._decorated(function, options)

    def invalidates(
        self, *keys: str, tags: Sequence[str] = (), patterns: Sequence[str] = ()
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function whose success invalidates these templates of its arguments.

        A function that raises invalidates nothing. Its result is returned untouched. One that
        returns an awaitable invalidates when that has ended well. Raises `UsageError` where
        nothing is named.
        """
        return invalidating(self, keys, tags, patterns)

    # Names

    def key(self, template: str, /, **values: object) -> str:
        """Build the name of a key or a tag from a template, escaped as the decorators do it."""
        return built_name(template, values)

    # Around it

    def stats(self) -> Stats:
        """Return the counters of this cache in this process."""
        usages = {"direct": [self.operations.usage, *self.operations.usages()]}
        front = self.backend.front_stats(self._functions.count(usages))
        where = self.backend.target.safe_url
        return stats_of(self.backend.env, where, usages, self._observers.failures, front)

    def on_event(self, observer: Observer) -> Observer:
        """Have `observer` called with each event; what it raises is counted and ignored."""
        self._observers.add(observer)
        self.backend.hear_hits()
        return observer

    @property
    def client(self) -> redis.Redis:
        """The raw redis-py client; raises `MissingClientError` on `memory://` and `null://`."""
        return self.clients.sync()

    @contextmanager
    def disabled(self) -> Generator[None]:
        """Read and store nothing inside, in this task or thread; invalidations still run."""
        token = switched_off.set(switched_off.get() | {id(self)})
        self._own_backend.bypass_front(on=True)
        try:
            yield
        finally:
            self._own_backend.bypass_front(on=False)
            switched_off.reset(token)

    @contextmanager
    def override(self, url: str) -> Generator[Self]:
        """Live elsewhere inside, in all threads: for tests. What is there is closed afterwards."""
        backend, clients = self.backend, self.clients
        target = parse_url(url)
        self._own_backend.bypass_front(on=True)
        self._move(self._backend_for(target), Clients(target))
        try:
            yield self
        finally:
            inner = self.backend
            self._move(backend, clients)
            self._own_backend.bypass_front(on=False)
            inner.close()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """Open and close with an ASGI application: `FastAPI(lifespan=cache.lifespan)`.

        Raises `UsageError` where a route that writes would be answered from the cache; warns of
        routes that were registered beneath the cache's decorator.
        """
        from dualcache.endpoints.endpoint import refuse_unsafe_reads, warn_of_routes_beneath

        refuse_unsafe_reads(app, self)
        warn_of_routes_beneath(app, self)
        async with self.aio:
            yield

    def close(self) -> None:
        """Close the connections of the sync face; the next call opens them again."""
        self.clients.close()
        self.backend.close()

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

    def after_fork(self) -> None:
        """Begin anew in a forked child, without the parent's connections, flights and locks."""
        for backend in {self.backend, self._own_backend, self._null_backend}:
            backend.after_fork()
        self.clients.after_fork()

    def register(self, cached: Cached) -> None:
        """Let a decorated function be counted in `stats()`."""
        self._functions.add(cached)

    def _decorated(self, function: Any, options: dict[str, Any]) -> Any:
        if isinstance(function, staticmethod | classmethod):
            return decorated_inside(function, lambda inner: self._decorated(inner, options))
        if options.keys() <= {*Cached.known}:
            return Cached(self, function, options).decorated()
        from dualcache.endpoints.endpoint import CachedEndpoint
        from dualcache.endpoints.options import is_endpoint  # most programs have no endpoint

        kind = CachedEndpoint if is_endpoint(options) else Cached
        return kind(self, function, options).decorated()

    @property
    def is_at_home(self) -> bool:
        """Whether the cache lives where it was made to live."""
        return self.backend is self._own_backend

    @property
    def active_backend(self) -> Backend:
        """The backend of this task or thread: nowhere inside of `disabled()`."""
        return self._null_backend if id(self) in switched_off.get() else self.backend

    def _move(self, backend: Backend, clients: Clients) -> None:
        self.backend, self.clients = backend, clients
        for cached in self._functions:
            cached.binding.forget_policy()

    def _backend_for(self, target: Any, front: FrontTier | None = None) -> Backend:
        made = Backend(
            target,
            prefix=self.operations.prefix,
            emit=partial(self._observers.emit, server=target.safe_url),
            clock=self._clock,
            is_strict=self._is_strict,
            is_publishing=self._is_publishing,
            front=front,
            max_staleness=self._max_staleness,
        )
        if self._observers.hear_hits:
            made.hear_hits()
        return made
