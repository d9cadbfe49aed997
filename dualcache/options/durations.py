"""Durations as people write them, in milliseconds as the engine counts them."""

from __future__ import annotations

import re
from datetime import timedelta
from math import isfinite
from typing import Literal, overload

from dualcache.errors import UsageError
from dualcache.options.checks import subject

__all__ = ["LONGEST_MS", "to_ms"]

LONGEST_MS = 2**53
"""Beyond this Redis and the numbers of JSON and Lua lose exactness: some 285 000 years."""
_LONGEST_SECONDS = LONGEST_MS // 1_000

_MS_OF = {
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_PART = re.compile(r"([0-9]+)(?:\.([0-9]+))?[ ]*([^\W\d_]*)[ ]*")
_LONGEST_TEXT = 64
_FIX = 'write seconds (300), a timedelta, or text such as "90s", "5m", "1h30m", "250ms", "2d"'


@overload
def to_ms(
    value: object, option: str, *, owner: str = "", allow_none: Literal[False] = False
) -> int: ...
@overload
def to_ms(value: object, option: str, *, owner: str = "", allow_none: bool) -> int | None: ...
def to_ms(value: object, option: str, *, owner: str = "", allow_none: bool = False) -> int | None:
    """Turn seconds, a `timedelta` or text such as `"1h30m"` into milliseconds.

    `None` (only with `allow_none`) means for ever and stays `None`. 0 stays 0; anything above is at
    least 1 ms. Text without a unit counts seconds. `option` and `owner` are for the error.
    """
    if type(value) is int and 0 <= value <= _LONGEST_SECONDS:  # most are, of each direct call
        return value * 1_000
    if value is None and allow_none:
        return None
    whose = subject(option, owner)
    if isinstance(value, str):
        duration_ms = _from_text(value, whose)
    elif isinstance(value, timedelta):
        duration_ms = _rounded(value // timedelta(microseconds=1), 1_000)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        duration_ms = _from_seconds(value, whose)
    else:
        kind = "None" if value is None else f"of type {type(value).__name__}"
        raise _refusal(f"{whose} is {kind}, not a duration")
    if duration_ms < 0:
        raise _refusal(f"{whose} is negative")
    if duration_ms > LONGEST_MS:
        raise _refusal(f"{whose} is longer than 2**53 ms")
    return duration_ms


def _from_seconds(seconds: float, whose: str) -> int:
    if isinstance(seconds, int):
        return int(seconds) * 1_000
    if not isfinite(seconds):
        raise _refusal(f"{whose} is not a finite number")
    if seconds > LONGEST_MS:
        raise _refusal(f"{whose} is longer than 2**53 ms")
    if seconds <= 0:
        return -1 if seconds < 0 else 0
    return max(1, round(seconds * 1_000))


def _from_text(text: str, whose: str) -> int:
    stripped = text.strip()
    if not stripped or len(stripped) > _LONGEST_TEXT:
        raise _refusal(f"{whose} is {'too long' if stripped else 'empty text'}")
    total, at, smallest = 0, 0, None
    while at < len(stripped):
        part = _PART.match(stripped, at)
        if part is None:
            raise _misread(whose, stripped, at, at + 1, "a number was expected here")
        whole, fraction, unit = part[1], part[2] or "", part[3]
        is_bare = not unit and part.end() == len(stripped) and at == 0
        ms = _MS_OF["s"] if is_bare else _MS_OF.get(unit)
        if ms is None:
            raise _misread(whose, stripped, *_span_of_unit(part), "not a unit: w d h m s ms")
        if smallest is not None and ms >= smallest:
            raise _misread(whose, stripped, *part.span(3), "units go from large to small")
        total += _rounded(int(whole + fraction) * ms, 10 ** len(fraction))
        at, smallest = part.end(), ms
    return total


def _span_of_unit(part: re.Match[str]) -> tuple[int, int]:
    start, end = part.span(3)
    return start, max(end, start + 1)


def _rounded(amount: int, divisor: int) -> int:
    """Divide to the nearest whole number; a positive number stays positive."""
    if amount <= 0:
        return -1 if amount < 0 else 0
    return max(1, (2 * amount + divisor) // (2 * divisor))


def _refusal(what: str) -> UsageError:
    return UsageError(what, code="DC150", help=_FIX)


def _misread(whose: str, text: str, start: int, end: int, why: str) -> UsageError:
    # repr() may be longer than the text: place the carets by what stands before them.
    indent = " " * (len(repr(text[:start])) - 1)
    shown = f'"{repr(text)[1:-1]}"'
    carets = "^" * (end - start)
    return UsageError(
        f"{whose} cannot be read as a duration",
        code="DC150",
        details=(("given", shown), ("", f"{indent}{carets} {why}")),
        help=_FIX,
    )
