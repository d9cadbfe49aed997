"""Checks of options that become a function's policy, or the cache's for all of its functions."""

from __future__ import annotations

from datetime import timedelta
from inspect import iscoroutinefunction
from math import inf
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.callables import not_callable
from dualcache.core.entry import MISSING
from dualcache.errors import UsageError
from dualcache.options.checks import subject
from dualcache.options.durations import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "to_beta",
    "to_cache_exceptions",
    "to_condition",
    "to_missing",
    "to_stale_on",
    "to_staleness",
    "to_ttl",
]

_LEAST_STALENESS_MS: Final = 50


def to_ttl(value: Any, option: str, *, owner: str) -> int | Callable[..., int | None] | None:
    """Check a lifetime: a duration, `None` for ever, or a function that gives one.

    The result of a function is checked each time like a written lifetime. A negative one is 0: a
    value that has expired already is not stored.
    """
    if not callable(value):
        return to_ms(value, option, owner=owner, allow_none=True)

    def ttl_ms(*values: Any) -> int | None:
        ttl = value(*values)
        if isinstance(ttl, int | float) and ttl < 0:
            return 0
        if isinstance(ttl, timedelta) and ttl < timedelta(0):
            return 0
        return to_ms(ttl, option, owner=owner, allow_none=True)

    return ttl_ms


def to_condition(value: Any, option: str, *, owner: str) -> Callable[..., object] | None:
    """Check the function that decides whether a result is stored; `None`: every one is."""
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]
    raise not_callable(option, owner)


def to_beta(value: Any, option: str, *, owner: str) -> float:
    """Check how early an entry is loaded anew: a number, 0 or more."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < inf:  # nor nan
        raise UsageError(
            f"{option} of {owner} is not a number of 0 or more",
            code="DC414",
            help=f"write {option}=1 for the optimum, more for an earlier load, 0 for none",
        )
    return float(value)


def to_missing(value: Any, option: str, *, owner: str) -> Any:
    """Check what stands for a value that a function of many does not know: `None`, or nothing."""
    if value is None or value is MISSING:
        return value
    raise UsageError(
        f"{option} of {owner} is of type {type(value).__name__}, not None",
        code="DC152",
        help=f"write {option}=None, or leave it out",
    )


def to_stale_on(
    value: Any, option: str = "stale_on", *, owner: str
) -> tuple[type[Exception], ...] | Callable[[Exception], object] | None:
    """Check which exceptions a stale value may stand in for; one type is written alone."""
    if value is None:
        return None
    kinds = (value,) if isinstance(value, type) else value
    if isinstance(kinds, tuple | list | set | frozenset):
        if kinds and all(isinstance(each, type) and issubclass(each, Exception) for each in kinds):
            return tuple(kinds)
    elif callable(value) and not iscoroutinefunction(value):
        return value  # type: ignore[no-any-return]
    raise UsageError(
        f"{option} of {owner} does not say which exceptions count",
        code="DC412",
        help=f"write {option}=TimeoutError, or a tuple of subclasses of Exception, or a function "
        "of the exception",
    )


def to_cache_exceptions(value: Any, option: str, *, owner: str = "") -> tuple[type[Exception], ...]:
    """Check which exceptions are remembered; one type is written alone, `None`: none is."""
    if value is None:
        return ()
    kinds = (value,) if isinstance(value, type) else value
    is_several = isinstance(kinds, tuple | list | set | frozenset) and kinds
    if is_several and all(map(_is_rememberable, kinds)):
        return tuple(kinds)
    raise UsageError(
        f"{subject(option, owner)} names no exceptions that can be remembered",
        code="DC425",
        help=f"write {option}=LookupError, or a tuple of subclasses of Exception",
    )


def _is_rememberable(kind: Any) -> bool:
    """Tell whether a type is one of exceptions, and not of those that end an iteration."""
    is_exception = isinstance(kind, type) and issubclass(kind, Exception)
    return is_exception and not issubclass(kind, (StopIteration, StopAsyncIteration))


def to_staleness(value: Any, option: str, *, owner: str) -> float:
    """Check the bound on a front tier's staleness, in seconds."""
    bound_ms = to_ms(value, option, owner=owner)
    if bound_ms < _LEAST_STALENESS_MS:
        raise UsageError(
            f"{option} of {owner} is too short",
            code="DC165",
            help=f"give at least {_LEAST_STALENESS_MS} ms, or do without a front tier",
        )
    return bound_ms / 1000
