"""Spans around calls, batches, loads and invalidations, made by a tracer of the user's.

A call is traced only if the tracer begins a span for it, so any other call costs one question. A
traced call runs with separate surroundings, which hear its events: hits of other calls stay
unheard.
"""

from __future__ import annotations

from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.core.flight import Outcome
from dualcache.drivers.flights import leading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.core.events import Event
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.drivers.sync_driver import SyncDriver
    from dualcache.engine.env import Env
    from dualcache.typing import Tracer

__all__ = ["GET", "GET_MANY", "REFRESH", "REFRESH_MANY", "Traced", "Tracing"]

GET: Final = "cache.get"
GET_MANY: Final = "cache.get_many"
REFRESH: Final = "cache.refresh"
REFRESH_MANY: Final = "cache.refresh_many"
LOAD: Final = "cache.load"
INVALIDATE: Final = "cache.invalidate"


class Tracing:
    """The tracer of one cache."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.is_recording = tracer.is_recording

    def begin(self, name: str, label: str, env: Env) -> Traced | None:
        """Begin the span of a call, or of a batch; `None`: it is not recorded."""
        span = self._tracer.begin(name, label)
        return None if span is None else Traced(self._tracer, span, label, env)

    def invalidating(self, label: str, flow: Flow[Any]) -> Flow[Any]:
        """Put a span around the flow of an invalidation."""
        if not self.is_recording():
            return flow
        span = self._tracer.begin(INVALIDATE, label)
        return flow if span is None else self._spanned(span, flow)

    def _spanned(self, span: Any, flow: Flow[Any]) -> Flow[Any]:
        try:
            done = yield from flow
        except BaseException as error:
            self._tracer.end(span, (), error)
            raise
        self._tracer.end(span, (done,), None)
        return done


class Traced:
    """A call or a batch whose span is recorded: use its `env`, and the loaders that it returns."""

    def __init__(self, tracer: Tracer, span: Any, label: str, env: Env) -> None:
        self._tracer = tracer
        self._span = span
        self._label = label
        self._has_ended = False
        self._events: list[Event] = []
        self._emit = env.emit
        self.env = replace(
            env,
            emit=self._note,
            hits_are_heard=True,
            misses_are_heard=True,
            keys_are_told=env.keys_are_told or tracer.include_keys,
        )

    def loading(self, call: Call) -> Call:
        """Return the call, with a span around what loads it."""
        policy = call.policy
        if policy.refresh_from is not None:
            policy = replace(policy, refresh_from=self.loader(policy.refresh_from))
        return replace(call, policy=policy, function=self.loader(call.function))

    def loader(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the loader with a span around each load."""
        return partial(self._load, function)

    def loaders(
        self, one_of: Callable[[str], Callable[[], Any]]
    ) -> Callable[[str], Callable[..., Any]]:
        """Return the function that gives the loader of one key, with a span around each load."""
        return lambda key: self.loader(one_of(key))

    def run(self, driver: SyncDriver, call: Call) -> Any:
        """Serve the call in this thread."""
        try:
            value = driver.get_or_load(self.loading(call), self.env)
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)
        return value

    async def awaited(self, serving: Awaitable[Any]) -> Any:
        """Serve the call in this task."""
        try:
            value = await serving
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)
        return value

    def spanned(self, flow: Flow[Any]) -> Flow[Any]:
        """Return the flow of a direct call or a batch, which ends the span when it ends."""
        try:
            # In a list, so that this frame keeps no outcome: see `value_of`.
            ended = [(yield from flow)]
        except BaseException as error:
            self._end(error)
            raise
        self._end(ended[0].error if isinstance(ended[0], Outcome) else None)
        return ended.pop()

    def _note(self, event: Event) -> None:
        if not self._has_ended:  # what goes on in the background is not of the call any more
            self._events.append(event)
        self._emit(event)

    def _end(self, error: BaseException | None) -> None:
        self._has_ended = True
        events, self._events = self._events, []
        self._tracer.end(self._span, events, error)

    def _load(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call the loader within a span of its own."""
        # Under the span of the call also in the background, where that may have ended: whether it
        # has by now is a race, and the trace must not depend on it.
        tracer = self._tracer
        span = tracer.begin(LOAD, self._label, self._span)
        if span is None:
            return function(*args)
        for flight in leading():
            # Those who wait for this load link to it; a flight of an outer load has its own.
            flight.trace = flight.trace or tracer.context_of(span)
        try:
            with tracer.entered(span):
                value = function(*args)
        except BaseException as error:
            tracer.end(span, (), error)
            raise
        if isawaitable(value):
            return _await_load(tracer, span, value)
        tracer.end(span, (), None)
        return value


async def _await_load(tracer: Tracer, span: Any, loading: Awaitable[Any]) -> Any:
    try:
        with tracer.entered(span):
            value = await loading
    except BaseException as error:
        tracer.end(span, (), error)
        raise
    tracer.end(span, (), None)
    return value
