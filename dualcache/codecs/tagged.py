"""Our own tagged form, for what MessagePack alone does not keep: exact types and nothing else.

A MessagePack document in which arrays are lists, scalars are themselves, and a map of one entry is
a tag and its body. Only builtin types ever come out of it, whatever the bytes.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from msgspec import msgpack

from dualcache.codecs.ids import undecodable
from dualcache.codecs.objects import is_class
from dualcache.errors import UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MAX_DEPTH", "decode", "encode"]

MAX_DEPTH: Final = 100

# The tags are part of the stored format: never renumber.
_BIG_INT, _TEXT, _TUPLE, _DICT, _SET, _FROZENSET, _BYTEARRAY = 1, 2, 3, 4, 5, 6, 7
_COMPLEX, _RANGE, _DATETIME, _DATE, _TIME, _TIMEDELTA = 8, 9, 10, 11, 12, 13
_DECIMAL, _UUID, _FRACTION = 14, 15, 16

_UTC, _OFFSET, _ZONE, _MODEL_OFFSET = 0, 1, 2, 3
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_MICROSECOND: Final = timedelta(microseconds=1)

_ENCODER: Final = msgpack.Encoder()
_DECODER: Final = msgpack.Decoder()


def encode(value: Any, hook: Callable[[Any], Any] | None = None) -> bytes:
    """Spell `value`, exact types only; `hook` may turn what is of another type into one of them.

    Raises `UnencodableValue` for any other type, and for what nests deeper than `MAX_DEPTH`.
    """
    try:
        return _ENCODER.encode(_Lowering(hook).lower(value, MAX_DEPTH))
    except RecursionError:
        raise _too_deep() from None


def decode(data: bytes | memoryview) -> Any:
    """Read what `encode` spelled; raises `DecodeError` for anything else."""
    try:
        return _raised(_DECODER.decode(data), MAX_DEPTH + 2)
    except Exception as error:  # noqa: BLE001  hostile bytes fail in every way there is
        what = "not a value in the tagged form"
        raise undecodable("payload", what, code="DC311", cause=error) from None


class _Lowering:
    """Turns a value into one that msgspec spells without loss."""

    __slots__ = ("_hook",)

    def __init__(self, hook: Callable[[Any], Any] | None) -> None:
        self._hook = hook

    def lower(self, value: Any, depth: int) -> Any:
        kind: type[Any] = type(value)
        if kind in _NATIVE:
            return value
        if kind is str:
            return value if _is_utf8(value) else {_TEXT: value.encode("utf-8", "surrogatepass")}
        if kind is int:
            return value if _LEAST <= value <= _MOST else {_BIG_INT: _int_bytes(value)}
        leaf = _LEAVES.get(kind)
        if leaf is not None:
            return leaf(value)
        if depth <= 0:
            raise _too_deep()
        if kind is list:
            return self._all(value, depth)
        if kind is dict:
            return {_DICT: self._all((part for pair in value.items() for part in pair), depth)}
        tag = _COLLECTIONS.get(kind)
        if tag is not None:
            return {tag: self._all(value, depth)}
        return self._other(value, depth)

    def _all(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.lower(value, depth - 1) for value in values]

    def _other(self, value: Any, depth: int) -> Any:
        kind: type[Any] = type(value)
        if is_class(kind, "fractions", "Fraction"):
            return {_FRACTION: self._all((value.numerator, value.denominator), depth)}
        if self._hook is None:
            raise unencodable_type(kind)
        return self.lower(self._hook(value), depth - 1)


def unencodable_type(kind: type) -> UnencodableValue:
    """Build the error that names a type which cannot be kept; `kind` goes along as an attribute."""
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    error = UnencodableValue(f"a value of type {name} cannot be stored exactly", code="DC300")
    vars(error)["culprit"] = name
    return error


def _too_deep() -> UnencodableValue:
    return UnencodableValue(
        f"the value nests deeper than {MAX_DEPTH} levels, or contains itself",
        code="DC300",
        help="return a flatter structure, or one that does not contain itself",
    )


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _int_bytes(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)


def _lower_range(value: range) -> Any:
    lower = _Lowering(None).lower
    return {_RANGE: [lower(number, 0) for number in (value.start, value.stop, value.step)]}


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


def _raised(value: Any, depth: int) -> Any:
    """Turn a decoded document back into the value; raises anything for hostile documents."""
    kind: type[Any] = type(value)
    if kind in _NATIVE or kind is str or kind is int:
        return value
    if depth < 0:
        raise ValueError
    if kind is list:
        return [_raised(part, depth - 1) for part in value]
    if kind is not dict or len(value) != 1:
        raise TypeError
    ((tag, body),) = value.items()
    return _RAISERS[tag](body, depth)


def _raised_dict(body: list[Any], depth: int) -> dict[Any, Any]:
    parts = _raised(body, depth)
    result = dict(zip(parts[::2], parts[1::2], strict=True))
    if len(result) * 2 != len(parts):
        raise ValueError
    return result


def _raised_zone(body: Any) -> tzinfo | None:
    if body is None:
        return None
    if body[0] == _UTC:
        return UTC
    if body[0] == _OFFSET:
        offset = body[1] * _MICROSECOND
        return timezone(offset) if body[2] is None else timezone(offset, _raised_text(body[2]))
    if body[0] == _ZONE:
        from zoneinfo import ZoneInfo

        return ZoneInfo(body[1])
    if body[0] != _MODEL_OFFSET:
        raise ValueError
    return sys.modules["pydantic_core"].TzInfo(body[1])  # type: ignore[no-any-return]  # a tzinfo


def _raised_text(body: bytes) -> str:
    return body.decode("utf-8", "surrogatepass")


def _raised_datetime(body: list[Any], _: int) -> datetime:
    year, month, day, *clock = body
    return datetime.combine(date(year, month, day), _raised_time(clock, _))


def _raised_time(body: list[Any], _: int) -> time:
    hour, minute, second, microsecond, fold, zone = body
    return time(hour, minute, second, microsecond, _raised_zone(zone), fold=fold)


def _raised_fraction(body: list[Any], depth: int) -> Any:
    from fractions import Fraction

    return Fraction(*_raised(body, depth))


_NATIVE: Final = frozenset({type(None), bool, float, bytes})
_COLLECTIONS: Final[dict[type, int]] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}
_LEAVES: Final[dict[type, Callable[[Any], Any]]] = {
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
_RAISERS: Final[dict[Any, Callable[[Any, int], Any]]] = {
    _BIG_INT: lambda body, _: int.from_bytes(body, "little", signed=True),
    _TEXT: lambda body, _: _raised_text(body),
    _TUPLE: lambda body, depth: tuple(_raised(body, depth)),
    _DICT: _raised_dict,
    _SET: lambda body, depth: set(_raised(body, depth)),
    _FROZENSET: lambda body, depth: frozenset(_raised(body, depth)),
    _BYTEARRAY: lambda body, _: bytearray(memoryview(body)),
    _COMPLEX: lambda body, _: complex(*body),
    _RANGE: lambda body, depth: range(*_raised(body, depth)),
    _DATETIME: _raised_datetime,
    _DATE: lambda body, _: date(*body),
    _TIME: _raised_time,
    _TIMEDELTA: lambda body, _: timedelta(*body),
    _DECIMAL: lambda body, _: Decimal(body),
    _UUID: lambda body, _: UUID(bytes=body),
    _FRACTION: _raised_fraction,
}
