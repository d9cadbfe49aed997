"""Spans around calls, loads and invalidations, made by a tracer of the user's.

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

__all__ = ["TracedCall", "Tracing"]

GET: Final = "cache.get"
LOAD: Final = "cache.load"
INVALIDATE: Final = "cache.invalidate"


class Tracing:
    """The tracer of one cache."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.is_recording = tracer.is_recording

    def begin(self, call: Call, env: Env) -> TracedCall | None:
        """Begin the span of a call; `None`: it is not recorded."""
        span = self._tracer.begin(GET, call.policy.label)
        return None if span is None else TracedCall(self._tracer, span, call, env)

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


class TracedCall:
    """One call whose span is recorded: use its `call` and `env` instead of the original ones."""

    def __init__(self, tracer: Tracer, span: Any, call: Call, env: Env) -> None:
        self._tracer = tracer
        self._span = span
        self._events: list[Event] = []
        self._emit = env.emit
        self.call = replace(call, function=partial(self._load, call.function, call.policy.label))
        self.env = replace(
            env,
            emit=self._note,
            hits_are_heard=True,
            misses_are_heard=True,
            keys_are_told=env.keys_are_told or tracer.include_keys,
        )

    def run(self, driver: SyncDriver) -> Any:
        """Serve the call in this thread."""
        try:
            value = driver.get_or_load(self.call, self.env)
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
        """Return the flow of a direct call, which ends the span when it ends."""
        try:
            # In a list, so that this frame keeps no outcome: see `value_of`.
            ended = [(yield from flow)]
        except BaseException as error:
            self._end(error)
            raise
        self._end(ended[0].error if isinstance(ended[0], Outcome) else None)
        return ended.pop()

    def _note(self, event: Event) -> None:
        if self._span is not None:  # what goes on in the background is not of the call any more
            self._events.append(event)
        self._emit(event)

    def _end(self, error: BaseException | None) -> None:
        span, self._span = self._span, None
        events, self._events = self._events, []
        self._tracer.end(span, events, error)

    def _load(self, function: Callable[..., Any], label: str, *args: Any) -> Any:
        """Call the loader within a span of its own."""
        tracer = self._tracer
        span = tracer.begin(LOAD, label, self._span)
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
