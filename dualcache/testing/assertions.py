"""Assertions about cached functions; the same for a `def` and an `async def`."""

from __future__ import annotations

from contextlib import contextmanager
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

from dualcache import Loaded, LoadFailed, UsageError, each_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from dualcache import Event


def assert_cached(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
    """Fail unless a call with these arguments would be a hit.

    A function of many values needs an entry for each value. You need not await anything: for an
    `async def`, the look at its entry runs in a separate thread, and this waits for it.
    """
    why = _why_not_fresh(function, args, kwargs)
    if why:
        raise AssertionError(f"{_called(function, args, kwargs)} is not cached: {why}")


def assert_not_cached(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
    """Fail if a call with these arguments would be a hit."""
    if not _why_not_fresh(function, args, kwargs):
        raise AssertionError(f"{_called(function, args, kwargs)} is cached")


@contextmanager
def assert_loads(function: Callable[..., Any], count: int) -> Generator[None]:
    """Fail unless the function runs `count` times inside, with any arguments.

    Runs that raise count, and so do background runs that end inside. For a function of many values,
    each value that it returns counts. Functions that share a key template are counted together.
    """
    template = _handle(function, "cache_parameters")()["key"]
    loads: list[Event] = []

    def note(event: Event) -> None:
        if isinstance(event, Loaded | LoadFailed) and event.template == template:
            loads.append(event)

    with each_cache(lambda cache: cache.observed(note)):
        yield
    if len(loads) != count:
        raise AssertionError(f"{_name(function)} ran {len(loads)} times, not {count}")


def _why_not_fresh(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str:
    """Say why a call would be no hit; empty if it would be one."""
    found = _handle(function, "peek")(*args, **kwargs)
    if iscoroutine(found):
        found = _run_in_thread(found)
    if isinstance(found, dict):  # a function of many values
        keys = set(_handle(function, "key_for")(*args, **kwargs))
        missing, entries = len(keys) - len(found), list(found.values())
    else:
        missing, entries = int(found is None), [] if found is None else [found]
    if missing:
        return "there is no entry" if missing == 1 else f"{missing} entries are missing"
    return "its entry is stale" if any(entry.stale for entry in entries) else ""


def _run_in_thread(awaited: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end without the caller's loop, which may be running, or be trio's."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(1, "dualcache-testing") as pool:
        return pool.submit(copy_context().run, asyncio.run, awaited).result()


def _handle(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    handle: Callable[..., Any] | None = getattr(function, name, None)
    if handle is None:
        raise UsageError(
            f"{_name(function)} is not a cached function",
            code="DC453",
            help="give the function that @cache returned; a decorator above it can hide it",
        )
    return handle


def _called(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Name a call by its key: arguments may have long representations."""
    key = _handle(function, "key_for")(*args, **kwargs)
    keys = key if isinstance(key, str) else ", ".join(key)
    return f"a call of {_name(function)} ({keys})"


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
