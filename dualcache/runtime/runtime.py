"""`Runtime`: the shared parts of the functions, endpoints and direct calls of one cache.

They know it, and not the `Cache` that composes it. It is the one place that decides which backend
answers: the cache's own, the one of `override()`, or the null backend where the cache is off.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from dualcache.backends.redis.clients import Clients
from dualcache.core.counters import DIRECT, Counters, Tally
from dualcache.core.events import Invalidated, Loaded, Miss
from dualcache.core.scope import switched_off
from dualcache.drivers.forking import OfOneProcess, renew_in_children
from dualcache.observability.counting import stats_of
from dualcache.observability.invalidations import InvalidationCounts
from dualcache.observability.observers import Observers
from dualcache.options.target import parse_url
from dualcache.runtime.backend import Backend
from dualcache.runtime.definitions import Definitions
from dualcache.runtime.direct_counters import DirectCounters
from dualcache.runtime.fleet import FleetShares
from dualcache.runtime.measuring import OperationTimes
from dualcache.runtime.registry import Registry
from dualcache.runtime.tier import front_stats_of
from dualcache.runtime.tracing import Tracing
from dualcache.runtime.value_codecs import ValueCodecs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from dualcache.backends.redis.wire.rights import Right
    from dualcache.configuration import Configuration
    from dualcache.core.events import Event
    from dualcache.observability.stats import Stats
    from dualcache.options.front_tier import FrontTier
    from dualcache.options.target import Target
    from dualcache.typing import Clock, Tracer

__all__ = ["Runtime"]


class Runtime(OfOneProcess):
    """One cache without its faces."""

    def __init__(self, made: Configuration, codec: Any, secret: Any, clock: Clock | None) -> None:
        self.prefix = made.prefix
        self.defaults = made.defaults
        is_shared = made.target.kind == "redis"
        self.codecs = ValueCodecs(codec, secret, is_shared=is_shared, limits=made.limits)
        self.observers = Observers()
        self.invalidations = InvalidationCounts(time.time)
        self.direct_counters = DirectCounters()
        self.functions = Registry()
        self.definitions = Definitions()
        self._made = made
        self._clock = clock
        self._tracing: Tracing | None = None
        self._times: OperationTimes | None = None
        self._backends: WeakSet[Backend] = WeakSet()
        self._own_backend = self._backend_for(made.target, made.front)
        self._null_backend = self._backend_for(parse_url("null://"))
        self.backend = self._own_backend if made.is_enabled else self._null_backend
        self.clients = Clients(made.target, made.client, made.async_client)
        self.fleet = FleetShares(self)
        if made.shares_stats:
            self.observe(self.fleet.start, (Miss, Loaded, Invalidated))
        renew_in_children(self)

    def __repr__(self) -> str:
        """Show the cache: where it lives, without credentials, and its namespace."""
        namespace = self.prefix.removesuffix(":")
        return f"Cache({self.backend.target.safe_url!r}, namespace={namespace!r})"

    @property
    def active_backend(self) -> Backend:
        """The backend of this task or thread: nowhere inside of `disabled()`."""
        return self._null_backend if id(self) in switched_off.get() else self.backend

    @property
    def is_at_home(self) -> bool:
        """Whether the cache lives where it was made to live."""
        return self.backend is self._own_backend

    @property
    def is_shared(self) -> bool:
        """Whether other processes use the same keys."""
        return self.backend.target.kind == "redis"

    @property
    def socket_timeout(self) -> float:
        """How long a call waits for an answer, in seconds, where the cache was made to live."""
        return self._made.target.socket_timeout

    def rights(self) -> tuple[Right, ...]:
        """Return the rights of a server's user that the cache needs where it was made to live."""
        from dualcache.runtime.needed_rights import needed_rights

        made = self._made
        return needed_rights(
            made.target,
            made.prefix,
            made.front,
            is_publishing=made.is_publishing,
            is_sharing=made.shares_stats,
        )

    def observe(self, observer: Any, kinds: Any = None, *, include_keys: bool = False) -> object:
        """Have `observer` called with each event from now on; return the handle for `forget`."""
        added = self.observers.add(observer, kinds, include_keys=include_keys)
        self._hear()
        return added

    def forget(self, added: object) -> None:
        """Call an observer no more; what nobody else hears is no event again."""
        self.observers.remove(added)
        self._hear()

    def trace(self, tracer: Tracer | None) -> None:
        """Have spans made by `tracer` from now on, in each backend; `None`: no more."""
        self._tracing = None if tracer is None else Tracing(tracer)
        for backend in list(self._backends):
            backend.trace(self._tracing)

    def measure_operations(self, record: Callable[[str, float], None] | None) -> None:
        """Measure trips to the backend from now on, in each backend."""
        if self._times is None:
            self._times = OperationTimes()
            for backend in list(self._backends):
                backend.measure(self._times)
        if record is not None:
            self._times.record_by(record)

    def tallies(self) -> dict[str, Tally]:
        """Return the counters of functions and direct calls, by their labels."""
        tallies = self.functions.count()
        own = tallies.setdefault(DIRECT, Tally(Counters()))
        for counters in self.direct_counters:
            own.counters.add(counters)
        own.front_hits += self.backend.direct_fronts.hits
        self.invalidations.add_to(tallies)
        return tallies

    def stats(self) -> Stats:
        """Return the counters of all functions, and of the direct calls."""
        backend, tallies = self.backend, self.tallies()
        total = Tally(Counters())
        self.invalidations.add_all(total)
        return stats_of(
            backend.env,
            backend.target.safe_url,
            self.prefix.removesuffix(":"),
            tallies,
            total,
            failures=self.observers.failures,
            running=len(backend.background),
            operations={} if self._times is None else self._times.histograms(),
            front=front_stats_of(
                backend.front, sum([each.front_hits for each in tallies.values()])
            ),
        )

    def share_stats(self) -> None:
        """Begin to share statistics, if this cache does; a first call asks for it."""
        if self._made.shares_stats:
            self.fleet.start()

    def client(self) -> Any:
        """Return the raw sync client."""
        return self.clients.sync()

    @property
    def can_be_asked(self) -> bool:
        """Whether the cache lives at home, on a backend that answers."""
        return self.is_at_home and self.backend.env.health.is_available

    @contextmanager
    def disabled(self) -> Generator[None]:
        """Use the null backend inside, in this task or thread alone."""
        token = switched_off.set(switched_off.get() | {id(self)})
        self._own_backend.bypass_front(on=True)
        try:
            yield
        finally:
            self._own_backend.bypass_front(on=False)
            switched_off.reset(token)

    @contextmanager
    def override(self, url: str, clock: Clock | None) -> Generator[None]:
        """Use another backend inside, in all threads; it is closed afterwards.

        `clock` is its clock; `None`: that of the cache.
        """
        backend, clients = self.backend, self.clients
        target = parse_url(url)
        self._own_backend.bypass_front(on=True)
        self._move(self._backend_for(target, clock=clock), Clients(target))
        try:
            yield
        finally:
            inner = self.backend
            self._move(backend, clients)
            self._own_backend.bypass_front(on=False)
            inner.close()

    def close(self) -> None:
        """Close the connections of the sync face; the next call opens them again."""
        self.fleet.stop()
        self.clients.close()
        self.backend.close()

    async def aclose(self) -> None:
        """Close the connections of this loop and of the sync face."""
        if self.fleet.is_running:
            from anyio import to_thread

            await to_thread.run_sync(self.fleet.stop)
        await self.clients.aclose()
        await self.backend.aclose()

    def after_fork(self) -> None:
        """Begin anew in a forked child, without the parent's connections, flights and locks."""
        for backend in {self.backend, self._own_backend, self._null_backend}:
            backend.after_fork()
        self.clients.after_fork()
        self.fleet.after_fork()

    def _move(self, backend: Backend, clients: Clients) -> None:
        self.backend, self.clients = backend, clients
        for cached in self.functions:
            cached.forget_policy()

    def _hear(self) -> None:
        for backend in list(self._backends):  # also those of before `override` and `disabled`
            backend.hear(self.observers.hearing)

    def _backend_for(
        self, target: Target, front: FrontTier | None = None, clock: Clock | None = None
    ) -> Backend:
        made = Backend(
            target,
            prefix=self.prefix,
            emit=partial(_emit, self.observers, self.invalidations, target.safe_url),
            clock=clock or self._clock,
            is_strict=self._made.is_strict,
            is_publishing=self._made.is_publishing,
            front=front,
            max_staleness=self._made.max_staleness,
        )
        made.hear(self.observers.hearing)
        made.trace(self._tracing)
        if self._times is not None:
            made.measure(self._times)
        self._backends.add(made)
        return made


def _emit(
    observers: Observers, invalidations: InvalidationCounts, server: str, event: Event
) -> None:
    """Count and tell an event. No method: threads hold this, and must not hold the cache."""
    if isinstance(event, Invalidated):
        invalidations.note(event)
    observers.emit(event, server)
