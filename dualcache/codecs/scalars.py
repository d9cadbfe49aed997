"""The scalars of the tagged form: each spelled as one document, and read from exactly that one.

A raiser checks types and lengths before it builds anything. Without that a body such as
`range(0, 10**9)` or `"1e30000000"` would turn a few bytes into gigabytes.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from dualcache.codecs.objects import is_class
from dualcache.errors import UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["LOWERED", "RAISED", "lower_fraction", "lower_int", "lower_text", "unencodable_type"]

# The tags are part of the stored format: never renumber. Those of containers are in `tagged.py`.
_BIG_INT, _TEXT, _BYTEARRAY, _COMPLEX, _RANGE = 1, 2, 7, 8, 9
_DATETIME, _DATE, _TIME, _TIMEDELTA = 10, 11, 12, 13
_DECIMAL, _UUID, _FRACTION = 14, 15, 16

_UTC, _OFFSET, _ZONE, _MODEL_OFFSET = 0, 1, 2, 3
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_MICROSECOND: Final = timedelta(microseconds=1)
_LONGEST_PART: Final = 1_024
"""Bytes of each number of a fraction: reducing it takes time that grows with their square."""


def unencodable_type(kind: type) -> UnencodableValue:
    """Build the error that names a type which cannot be kept."""
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return UnencodableValue(f"a value of type {name} cannot be stored exactly", code="DC300")


# Lowering


def lower_int(value: int) -> Any:
    """Spell an int: as itself where MessagePack has it."""
    return value if _LEAST <= value <= _MOST else {_BIG_INT: _int_bytes(value)}


def lower_text(value: str) -> Any:
    """Spell a text: as itself where it is UTF-8."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return {_TEXT: value.encode("utf-8", "surrogatepass")}
    return value


def lower_fraction(value: Any) -> Any:
    """Spell a fraction, whose numbers have a limit."""
    parts = (value.numerator, value.denominator)
    if max(map(int.bit_length, parts)) >= 8 * _LONGEST_PART:
        raise UnencodableValue(
            f"a fraction of numbers over {_LONGEST_PART} bytes cannot be stored", code="DC300"
        )
    return {_FRACTION: [lower_int(part) for part in parts]}


def _int_bytes(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)


def _lower_range(value: range) -> Any:
    return {_RANGE: [lower_int(number) for number in (value.start, value.stop, value.step)]}


def _lower_datetime(value: datetime) -> Any:
    day = (value.year, value.month, value.day)
    return {_DATETIME: [*day, *_clock_face(value)]}


def _clock_face(value: datetime | time) -> tuple[Any, ...]:
    zone = _lower_zone(value.tzinfo)
    return (value.hour, value.minute, value.second, value.microsecond, value.fold, zone)


def _lower_zone(zone: tzinfo | None) -> Any:
    if zone is None:
        return None
    if zone is UTC:
        return [_UTC]
    kind = type(zone)
    if kind is timezone:
        offset, name = zone.utcoffset(None), zone.tzname(None)
        own_name = None if timezone(offset).tzname(None) == name else name  # type: ignore[arg-type]  # a timezone's is never None
        return [_OFFSET, offset // _MICROSECOND, _lower_name(own_name)]  # type: ignore[operator]  # as above
    if is_class(kind, "zoneinfo", "ZoneInfo") and zone.key is not None:  # type: ignore[attr-defined]  # a ZoneInfo
        return [_ZONE, zone.key]  # type: ignore[attr-defined]  # a ZoneInfo
    if is_class(kind, "pydantic_core", "TzInfo"):
        return [_MODEL_OFFSET, zone.utcoffset(None) // timedelta(seconds=1)]  # type: ignore[operator]  # never None
    raise unencodable_type(kind)


def _lower_name(name: str | None) -> Any:
    return None if name is None else name.encode("utf-8", "surrogatepass")


# Raising


def _exactly(body: Any, kind: type) -> Any:
    if type(body) is not kind:
        raise TypeError
    return body


def _items(body: Any, count: int) -> Sequence[Any]:
    if type(body) is not list or len(body) != count:
        raise TypeError
    return body


def _raised_big_int(body: Any) -> int:
    number = int.from_bytes(_exactly(body, bytes), "little", signed=True)
    if _LEAST <= number <= _MOST or len(body) != number.bit_length() // 8 + 1:
        raise ValueError
    return number


def _raised_int(document: Any) -> int:
    if type(document) is int:
        return document
    ((tag, body),) = _exactly(document, dict).items()
    if tag != _BIG_INT:
        raise TypeError
    return _raised_big_int(body)


def _raised_text(body: Any) -> str:
    return str(_exactly(body, bytes), "utf-8", "surrogatepass")


def _raised_complex(body: Any) -> complex:
    real, imaginary = _items(body, 2)
    return complex(_exactly(real, float), _exactly(imaginary, float))


def _raised_range(body: Any) -> range:
    return range(*map(_raised_int, _items(body, 3)))


def _raised_datetime(body: Any) -> datetime:
    # The constructors of times take whole numbers alone: each field need not be looked at here.
    if type(body) is not list:
        raise TypeError
    year, month, day, hour, minute, second, microsecond, fold, zone = body
    tz = _raised_zone(zone)
    return datetime(year, month, day, hour, minute, second, microsecond, tz, fold=fold)


def _raised_time(body: Any) -> time:
    hour, minute, second, microsecond, fold, zone = _items(body, 6)
    return time(hour, minute, second, microsecond, _raised_zone(zone), fold=fold)


def _raised_timedelta(body: Any) -> timedelta:
    days, seconds, microseconds = _items(body, 3)
    if not type(days) is type(seconds) is type(microseconds) is int:
        raise TypeError
    return timedelta(days, seconds, microseconds)


def _raised_zone(body: Any) -> tzinfo | None:
    if body is None:
        return None
    if body == [_UTC]:
        return UTC
    which = _exactly(body, list)[0]
    if which == _OFFSET:
        _, offset, name = _items(body, 3)
        delta = _exactly(offset, int) * _MICROSECOND
        return timezone(delta) if name is None else timezone(delta, _raised_text(name))
    _, zone = _items(body, 2)
    if which == _ZONE:
        from zoneinfo import ZoneInfo

        return ZoneInfo(_exactly(zone, str))
    if which != _MODEL_OFFSET:
        raise ValueError
    return sys.modules["pydantic_core"].TzInfo(_exactly(zone, int))  # type: ignore[no-any-return]  # a tzinfo


def _raised_decimal(body: Any) -> Decimal:
    if type(body) is not str:
        raise TypeError
    return Decimal(body)


def _raised_uuid(body: Any) -> UUID:
    if type(body) is not bytes:
        raise TypeError
    return UUID(bytes=body)


def _raised_fraction(body: Any) -> Any:
    from fractions import Fraction

    numerator, denominator = map(_raised_int, _items(body, 2))
    if max(numerator.bit_length(), denominator.bit_length()) >= 8 * _LONGEST_PART:
        raise ValueError
    return Fraction(numerator, denominator)


LOWERED: Final[dict[type, Callable[[Any], Any]]] = {
    bytearray: lambda value: {_BYTEARRAY: value},
    complex: lambda value: {_COMPLEX: [value.real, value.imag]},
    range: _lower_range,
    datetime: _lower_datetime,
    date: lambda value: {_DATE: [value.year, value.month, value.day]},
    time: lambda value: {_TIME: list(_clock_face(value))},
    timedelta: lambda value: {_TIMEDELTA: [value.days, value.seconds, value.microseconds]},
    Decimal: lambda value: {_DECIMAL: str(value)},
    UUID: lambda value: {_UUID: value.bytes},
}
"""The writer of each scalar, by its exact type."""
RAISED: Final[dict[Any, Callable[[Any], Any]]] = {
    _BIG_INT: _raised_big_int,
    _TEXT: _raised_text,
    _BYTEARRAY: lambda body: bytearray(_exactly(body, bytes)),
    _COMPLEX: _raised_complex,
    _RANGE: _raised_range,
    _DATETIME: _raised_datetime,
    _DATE: lambda body: date(*_items(body, 3)),
    _TIME: _raised_time,
    _TIMEDELTA: _raised_timedelta,
    _DECIMAL: _raised_decimal,
    _UUID: _raised_uuid,
    _FRACTION: _raised_fraction,
}
"""The reader of each scalar, by its tag; may raise anything for a document of another."""
