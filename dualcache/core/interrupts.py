"""Which exceptions come from a signal handler, not from the code they landed in.

Python runs signal handlers between two instructions of the main thread. What one raises (Celery's
soft time limit is a plain `Exception`, others raise `TimeoutError`) appears in whatever ran there,
and must not be taken for a failure of the backend or of the user's function.
"""

from __future__ import annotations

# Those of `signal` build an enum for each number.
from _signal import getsignal, valid_signals  # type: ignore[import-not-found]
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, TracebackType

__all__ = ["interrupt_in", "was_caught_here"]

_OURS: Final = ("dualcache", "redis")
_SIGNALS: Final = tuple(valid_signals())
_LONGEST_CHAIN: Final = 8


def interrupt_in(error: BaseException) -> BaseException | None:
    """Return the exception of a signal handler that interrupted an op; `None` where none did."""
    # redis-py turns a `TimeoutError` of a handler into one of its own, so the causes of `error`
    # count too, as far as they were caught inside the op. What the caller was handling before does
    # not, or every call in an `except` block of an interrupted task would look interrupted.
    if not isinstance(error, Exception):
        return error
    codes = _handler_codes()
    each: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if each is None or (each is not error and not was_caught_here(each)):
            return None
        if not codes.isdisjoint(_codes_of(each.__traceback__)):
            return each
        each = each.__cause__ or each.__context__
    return None


def was_caught_here(error: BaseException) -> bool:
    """Tell whether our code or redis-py's caught an exception: a traceback begins where it was."""
    where = error.__traceback__
    name = "" if where is None else str(where.tb_frame.f_globals.get("__name__"))
    return name.partition(".")[0] in _OURS


def _codes_of(traceback: TracebackType | None) -> Iterator[CodeType]:
    """Yield the code of each frame that an exception passed through."""
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next


def _handler_codes() -> set[CodeType]:
    """Return the code of each signal handler that is installed now."""
    handlers = [getsignal(number) for number in _SIGNALS]
    return {code for handler in handlers if (code := _code_of(handler)) is not None}


def _code_of(handler: Any) -> CodeType | None:
    """Return the code that runs when a handler is called; `None` where it is not Python's."""
    while (inner := getattr(handler, "func", None)) is not None:  # functools.partial
        handler = inner
    function = getattr(handler, "__func__", handler)
    if not hasattr(function, "__code__"):
        function = getattr(type(function), "__call__", None)  # noqa: B004  for its code
    code: CodeType | None = getattr(function, "__code__", None)
    return code
