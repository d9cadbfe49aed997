"""Filling ahead: what is not fresh of many calls is loaded, a few calls at a time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.core.flight import value_of
from dualcache.core.warmed import Warmed
from dualcache.drivers.side_by_side import in_tasks, in_threads
from dualcache.engine.load import refresh
from dualcache.engine.pipelines import MOST_AT_ONCE, paced
from dualcache.engine.read_many import peek_many
from dualcache.options.checks import to_int

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.functions.function import Cached

    _Wanted: TypeAlias = tuple[tuple[Any, ...], Call, bool]
    """A call with its arguments as they were given, and whether a stale entry is there."""

__all__ = ["awarm", "warm"]

_MOST_ERRORS: Final = 100
"""How many errors are kept; the others are counted."""


def warm(
    cached: Cached,
    argument_tuples: Iterable[Any],
    first: tuple[Any, ...],
    concurrency: int,
    on_progress: Callable[[Warmed], object] | None,
) -> Warmed:
    """Fill ahead in threads. `first` are arguments of all calls: the object of a method."""
    warming = _Warming(cached, first, concurrency, on_progress)
    backend = cached.runtime.active_backend

    def load(wanted: _Wanted) -> None:
        _, call, is_stale = wanted
        if is_stale:
            value_of(backend.run(refresh(call, backend.env)))
        else:
            backend.get_or_load(call)

    for part in _parts(argument_tuples):
        missing = backend.run(warming.not_fresh(part))
        for wanted, error in in_threads(load, missing, warming.at_once):
            warming.end(wanted, error)
    return warming.so_far


async def awarm(
    cached: Cached,
    argument_tuples: Iterable[Any],
    first: tuple[Any, ...],
    concurrency: int,
    on_progress: Callable[[Warmed], object] | None,
) -> Warmed:
    """Fill ahead in tasks, as `warm` does in threads."""
    warming = _Warming(cached, first, concurrency, on_progress)
    backend = cached.runtime.active_backend

    async def load(wanted: _Wanted) -> None:
        _, call, is_stale = wanted
        if is_stale:
            value_of(await backend.arun(refresh(call, backend.env)))
        else:
            await backend.aget_or_load(call)

    for part in _parts(argument_tuples):
        missing = await backend.arun(warming.not_fresh(part))
        await in_tasks(load, missing, warming.at_once, warming.end)
    return warming.so_far


class _Warming:
    """One run: what it has come to, and who is told."""

    def __init__(
        self,
        cached: Cached,
        first: tuple[Any, ...],
        concurrency: int,
        on_progress: Callable[[Warmed], object] | None,
    ) -> None:
        owner = f"warm() of {cached.signature.name}"
        self.at_once = to_int(concurrency, "concurrency", owner=owner, minimum=1)
        self.so_far = Warmed()
        self._cached = cached
        self._first = first
        self._on_progress = on_progress

    def not_fresh(self, part: Sequence[tuple[Any, ...]]) -> Flow[list[_Wanted]]:
        """Return the calls that have no fresh entry; nothing is decoded or counted as a hit."""
        cached = self._cached
        calls = yield from paced(lambda args: cached.call_of((*self._first, *args), {}), part)
        codec = cached.policy.value_codec
        glance = replace(cached.policy, value_codec=codec._replace(unpack=codec.verify))
        looks = [replace(call, policy=glance) for call in calls]
        answers = cached.policy.negative_ttl_ms is not None  # of a function that raises from there
        entries = yield from peek_many(looks, cached.runtime.active_backend.env)
        # A stale entry is refreshed: a read of it might be served, and load it in the background.
        missing = [
            (args, call, entry is not None)
            for args, call, entry in zip(part, calls, entries, strict=True)
            if entry is None or entry.stale or (entry.negative and not answers)
        ]
        if len(missing) < len(part):
            self._tell(replace(self.so_far, fresh=self.so_far.fresh + len(part) - len(missing)))
        return missing

    def end(self, wanted: _Wanted, error: Exception | None) -> None:
        """Count a call that has been loaded, or has failed."""
        done = self.so_far
        if error is None:
            self._tell(replace(done, loaded=done.loaded + 1))
            return
        errors = done.errors
        if len(errors) < _MOST_ERRORS:
            errors = (*errors, (wanted[0], error))
        self._tell(replace(done, failed=done.failed + 1, errors=errors))

    def _tell(self, so_far: Warmed) -> None:
        self.so_far = so_far
        if self._on_progress is not None:
            self._on_progress(so_far)


def _parts(argument_tuples: Iterable[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Split what is to be filled; what is no tuple is the only argument of its call."""
    waiting = iter(argument_tuples)
    while part := list(islice(waiting, MOST_AT_ONCE)):
        yield [each if isinstance(each, tuple) else (each,) for each in part]
