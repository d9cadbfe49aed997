"""Seeing what a cache does: the methods of `Cache` for statistics and events."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from typing import Self

    from dualcache.core.events import Event
    from dualcache.observability.stats import FleetStats, Stats
    from dualcache.runtime.runtime import Runtime
    from dualcache.typing import Observer, Tracer


class ObservedFace:
    """The methods of `Cache` that tell what happens, and change nothing."""

    _runtime: Runtime

    @overload
    def stats(self, *, fleet: Literal[False] = False) -> Stats: ...
    @overload
    def stats(self, *, fleet: Literal[True]) -> FleetStats: ...

    def stats(self, *, fleet: bool = False) -> Stats | FleetStats:
        """Return the counters of this cache in this process.

        With `fleet` those of all processes in the last quarter of an hour, as far as they share
        them: `Cache(fleet_stats=True)`. It asks the server, but never fails for it.
        """
        return self._runtime.fleet.read() if fleet else self._runtime.stats()

    @overload
    def on_event(
        self,
        observer: Observer,
        /,
        *,
        events: Iterable[type[Event]] | None = None,
        include_keys: bool = False,
    ) -> Observer: ...
    @overload
    def on_event(
        self,
        observer: None = None,
        /,
        *,
        events: Iterable[type[Event]] | None = None,
        include_keys: bool = False,
    ) -> Callable[[Observer], Observer]: ...

    def on_event(
        self, observer: Any = None, /, *, events: Any = None, include_keys: bool = False
    ) -> Any:
        """Call `observer` with each event; its exceptions are counted and ignored.

        With `events` it is called with those of these classes alone: an observer that does not ask
        for `Hit` makes no hit slower. `include_keys` lets events carry the keys they are about.
        """
        if observer is None and (events is not None or include_keys):
            return lambda inner: self.on_event(inner, events=events, include_keys=include_keys)
        self._runtime.observe(observer, events, include_keys=include_keys)
        return observer

    @contextmanager
    def observed(
        self,
        observer: Observer,
        *,
        events: Iterable[type[Event]] | None = None,
        include_keys: bool = False,
    ) -> Generator[Self]:
        """Call `observer` with each event inside, as `on_event` does for good."""
        added = self._runtime.observe(observer, events, include_keys=include_keys)
        try:
            yield self
        finally:
            self._runtime.forget(added)

    def trace(self, tracer: Tracer | None) -> None:
        """Make spans of calls, loads and invalidations by `tracer`; `None`: no more.

        For OpenTelemetry, `dualcache.integrations.opentelemetry` has one. Hits that end in the
        front tier's compiled wrappers make none.
        """
        self._runtime.trace(tracer)

    def measure_operations(self, record: Callable[[str, float], None] | None = None) -> None:
        """Measure the trips to the backend from now on, for `operations` of `stats()`.

        `record` is called with the name and the seconds of each. Of looks, which are the trips of
        hits, the first 64 are measured, then one in 64, which counts 64 times in `stats()`.
        """
        self._runtime.measure_operations(record)
