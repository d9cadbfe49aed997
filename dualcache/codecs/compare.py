"""Whether two values are the same to a caller, and whether callers may share a value.

Not `==`: `1 == True`, and two datetimes in different zones may be equal.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from math import copysign
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from dualcache.codecs import arrays, generics, libraries, subclasses
from dualcache.codecs.objects import UNSET, is_class, is_frozen_class, is_value_class, state_of
from dualcache.core.interrupts import interrupt_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

__all__ = ["TEXT_MODULES", "is_immutable", "is_same", "is_same_or_equal", "is_same_zone"]

_Seen = set[tuple[int, int]]

_PLAIN: Final = frozenset({str, int, bool, bytes, timedelta, date, UUID, type(None)})
# Paths, IP addresses and URLs: their text is all they are.
TEXT_MODULES: Final = frozenset({"pathlib", "pathlib._local", "ipaddress", "pydantic.networks"})


def is_same(one: Any, other: Any) -> bool:
    """Tell whether nobody could tell `other` from `one`.

    Types, fields, order of dicts, zones and signs of zero count. NaN is the same as NaN. Objects
    of classes that are no value classes (dataclass, attrs, msgspec, pydantic, NamedTuple) are the
    same only if identical; what nests too deeply is never the same.
    """
    try:
        return _is_same(one, other, set())
    except RecursionError:
        return False


def is_same_or_equal(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, or at least equal by `==`."""
    if is_same(one, other):
        return True
    try:
        return bool(one == other)
    except Exception as error:  # whatever the class of a user's does, or an array that has no truth
        if interrupt_in(error) is not None:
            raise
        return False


def is_same_zone(one: tzinfo | None, other: tzinfo | None) -> bool:
    """Compare zones: a `ZoneInfo` by its key, a fixed offset by offset and name."""
    if one is other:
        return True
    if one is None or other is None or type(one) is not type(other):
        return False
    if type(one) is timezone:
        return one.utcoffset(None) == other.utcoffset(None) and one.tzname(None) == other.tzname(
            None
        )
    if is_class(type(one), "zoneinfo", "ZoneInfo"):
        key: str | None = one.key  # type: ignore[attr-defined]  # a ZoneInfo
        return key is not None and key == other.key  # type: ignore[attr-defined]  # a ZoneInfo
    is_fixed = is_class(type(one), "pydantic_core", "TzInfo")
    return is_fixed and one.utcoffset(None) == other.utcoffset(None)


def is_immutable(value: Any) -> bool:
    """Tell whether `value` is immutable all the way down, so that callers may share it."""
    try:
        return _is_immutable(value)
    except RecursionError:
        return False


def _is_immutable(value: Any) -> bool:
    kind: type[Any] = type(value)
    if kind in (datetime, time):
        zone = value.tzinfo
        return (
            zone is None or type(zone) is timezone or is_class(type(zone), "zoneinfo", "ZoneInfo")
        )
    if kind in _SCALARS or isinstance(value, Enum):
        return kind is not bytearray
    if kind in (tuple, frozenset):
        return all(map(_is_immutable, value))
    return is_frozen_class(kind) and all(map(_is_immutable, state_of(value).values()))


def _is_same(one: Any, other: Any, seen: _Seen) -> bool:
    kind: type[Any] = type(one)
    if one is other or kind is not type(other):
        return one is other
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar(one, other)
    return _CONTAINERS.get(kind, _is_same_object)(one, other, seen)


def _are_same(rest: Iterable[tuple[Any, Any]], wholes: tuple[object, object], seen: _Seen) -> bool:
    """Compare the parts of two values that their own loops left: what is no plain leaf."""
    pair = (id(wholes[0]), id(wholes[1]))
    if pair in seen:  # a structure that contains itself: this pair is being compared further up
        return True
    seen.add(pair)
    for one, other in rest:
        if not _is_same(one, other, seen):
            seen.discard(pair)
            return False
    seen.discard(pair)
    return True


def _is_same_float(one: float, other: float) -> bool:
    if one == other:
        return copysign(1.0, one) == copysign(1.0, other)
    return one != one and other != other  # noqa: PLR0124  NaN


def _is_same_complex(one: complex, other: complex) -> bool:
    return _is_same_float(one.real, other.real) and _is_same_float(one.imag, other.imag)


def _is_same_decimal(one: Decimal, other: Decimal) -> bool:
    return one.as_tuple() == other.as_tuple()


def _is_same_range(one: range, other: range) -> bool:
    return (one.start, one.stop, one.step) == (other.start, other.stop, other.step)


def _is_same_moment(one: Any, other: Any) -> bool:
    if one.fold != other.fold or not is_same_zone(one.tzinfo, other.tzinfo):
        return False
    return bool(one.replace(tzinfo=None) == other.replace(tzinfo=None))


def _is_same_sequence(one: Sequence[Any], other: Sequence[Any], seen: _Seen) -> bool:
    if len(one) != len(other):
        return False
    rest: list[tuple[Any, Any]] = []
    for a, b in zip(one, other, strict=True):
        kind = type(a)
        if kind is not type(b):
            return False
        if kind is str or kind is int:
            if a != b:
                return False
        elif a is not b and (kind is not float or a != b or not a):
            rest.append((a, b))
    return not rest or _are_same(rest, (one, other), seen)


def _is_same_dict(one: dict[Any, Any], other: dict[Any, Any], seen: _Seen) -> bool:
    """Compare as for sequences, whose loop is spelled here again: this is the usual value."""
    if len(one) != len(other):
        return False
    rest: list[tuple[Any, Any]] = []
    for key, twin, a, b in zip(one, other, one.values(), other.values(), strict=True):
        if type(key) is not str or type(twin) is not str or key != twin:
            rest.append((key, twin))
        kind = type(a)
        if kind is not type(b):
            return False
        if kind is str or kind is int:
            if a != b:
                return False
        elif a is not b and (kind is not float or a != b or not a):
            rest.append((a, b))
    return not rest or _are_same(rest, (one, other), seen)


def _is_same_set(one: AbstractSet[Any], other: AbstractSet[Any], seen: _Seen) -> bool:
    if len(one) != len(other):
        return False
    equals = {item: item for item in other}
    likes = [equals.pop(item, UNSET) for item in one]
    if not equals:
        return _is_same_sequence(list(one), likes, seen)
    # What is not equal to itself (NaN, also inside a tuple) finds its like by comparison alone.
    rest = list(equals.values())
    for item, like in zip(one, likes, strict=True):
        if like is not UNSET:
            if not _is_same(item, like, seen):
                return False
            continue
        at = next((i for i, left in enumerate(rest) if _is_same(item, left, seen)), None)
        if at is None:
            return False
        del rest[at]
    return True


def _is_same_object(one: Any, other: Any, seen: _Seen) -> bool:
    kind: type[Any] = type(one)
    if is_value_class(kind):
        state, theirs = state_of(one), state_of(other)
        if state.keys() != theirs.keys():
            return False
        return _are_same(((part, theirs[name]) for name, part in state.items()), (one, other), seen)
    if isinstance(one, tzinfo):
        return is_same_zone(one, other)
    if is_class(kind, "fractions", "Fraction"):
        return bool(one == other)
    for parts_of in _PARTS_OF:
        ours = parts_of(one)
        if ours is not None:
            return _is_same(ours, parts_of(other), seen)
    return kind.__module__ in TEXT_MODULES and str(one) == str(other)


def _is_equal(one: object, other: object) -> bool:
    return one == other


_PARTS_OF: Final[tuple[Callable[[Any], Any], ...]] = (
    arrays.parts_of,
    libraries.parts_of,
    subclasses.parts_of,
    generics.parts_of,
)
_SCALARS: Final[Mapping[type, Callable[[Any, Any], bool]]] = {
    **dict.fromkeys(_PLAIN, _is_equal),
    float: _is_same_float,
    complex: _is_same_complex,
    Decimal: _is_same_decimal,
    range: _is_same_range,
    datetime: _is_same_moment,
    time: _is_same_moment,
    bytearray: _is_equal,
}
_CONTAINERS: Final[Mapping[type, Callable[[Any, Any, _Seen], bool]]] = {
    list: _is_same_sequence,
    tuple: _is_same_sequence,
    dict: _is_same_dict,
    set: _is_same_set,
    frozenset: _is_same_set,
}
