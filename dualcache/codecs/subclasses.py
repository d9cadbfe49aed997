"""Subclasses of plain types, such as `markupsafe.Markup`, kept by the name of the class.

An object is kept by its plain form. A class is used only in a process that has learned it: by
having stored one, or by an annotation that names it. Nothing is imported, and no code of the class
runs: its plain base makes the object. So only subclasses that add no state to an object are kept.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary, WeakValueDictionary

from dualcache.codecs.names import name_of, not_learned
from dualcache.codecs.objects import is_value_class

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["learn_class", "parts_of", "raised"]

_HEAP_TYPE: Final = 1 << 9
_learned: Final[WeakValueDictionary[str, type]] = WeakValueDictionary()
_bases: Final[WeakKeyDictionary[type, type | None]] = WeakKeyDictionary()


def parts_of(value: Any) -> tuple[str, Any] | None:
    """Return the name of a value's class and its plain form; `None` where it cannot be kept.

    Not where an attribute was set, nor of a class that is not found under its own name.
    """
    kind = type(value)
    plain = _plain_form(value, kind)
    name = None if plain is None else name_of(kind)
    if name is None:
        return None
    _learned[name] = kind
    return name, plain


def raised(name: str, plain: Any, known: set[str] | None) -> Any:
    """Make an object of a class that this cache has learned, as its base makes it."""
    kind = _learned.get(name)
    if kind is None or not (known is None or name in known):
        raise not_learned(name)
    if name_of(kind) != name:  # it was defined anew since
        raise not_learned(name)
    base = _plain_base(kind)
    if base is None or type(plain) is not base:
        raise TypeError
    return _HOW[base][1](kind, plain)


def learn_class(kind: type) -> str | None:
    """Learn a class, if it is a subclass of a plain type; return its name."""
    name = None if _plain_base(kind) is None else name_of(kind)
    if name is not None:
        _learned[name] = kind
    return name


def _plain_form(value: Any, kind: type) -> Any:
    """Return the plain form of an object; `None` where its class, or it alone, holds more."""
    base = _plain_base(kind)
    return None if base is None or getattr(value, "__dict__", None) else _HOW[base][0](value)


def _plain_base(kind: type) -> type | None:
    """Return the plain type of which `kind` is a subclass without state of its own."""
    if kind not in _bases:
        _bases[kind] = _looked_up_base(kind)
    return _bases[kind]


def _looked_up_base(kind: type) -> type | None:
    base = next((each for each in kind.__mro__ if each in _HOW), None)
    if base is None or base is kind or issubclass(kind, Enum) or is_value_class(kind):
        return None
    added = kind.__mro__[: kind.__mro__.index(base)]
    return base if all(map(_is_bare, added)) else None


def _is_bare(kind: type) -> bool:
    """Tell whether a class adds at most a `__dict__` to its base: no slots, no fields in C."""
    names = vars(kind)
    if names.get("__slots__") or not kind.__flags__ & _HEAP_TYPE:
        return False
    is_python = "__slots__" in names or "__dict__" in names or "__weakref__" in names
    base = kind.__base__
    return is_python or (base is not None and kind.__basicsize__ == base.__basicsize__)


def _made_uuid(kind: type, plain: UUID) -> Any:
    made: Any = object.__new__(kind)
    UUID.__init__(made, bytes=plain.bytes)
    return made


def _copied(base: Any, copy: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return how a plain form is taken, and how the base makes an object of it at once."""
    return copy, base.__new__


def _filled(base: Any, copy: Callable[[Any], Any], fill: Any) -> tuple[Any, Any]:
    """Return the two ways of a container, which its base makes empty and then fills."""

    def made(kind: type, plain: Any) -> Any:
        result = base.__new__(kind)
        fill(result, plain)
        return result

    return copy, made


def _fields(base: Any, *names: str) -> tuple[Any, Any]:
    """Return the two ways of a type that is made of its fields, passed by name."""

    def fields(value: Any) -> dict[str, Any]:
        return {name: getattr(value, name) for name in names}

    return lambda value: base(**fields(value)), lambda kind, plain: base.__new__(
        kind, **fields(plain)
    )


_DAY: Final = ("year", "month", "day")
_CLOCK: Final = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
_WHOLE: Final = slice(None)
_HOW: Final[dict[type, tuple[Callable[[Any], Any], Callable[[type, Any], Any]]]] = {
    str: _copied(str, str.__str__),
    bytes: _copied(bytes, lambda value: bytes.__getitem__(value, _WHOLE)),
    int: _copied(int, int.__int__),
    float: _copied(float, float.__float__),
    Decimal: _copied(Decimal, Decimal),
    tuple: _copied(tuple, lambda value: tuple.__getitem__(value, _WHOLE)),
    frozenset: _copied(frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    list: _filled(list, lambda value: list.__getitem__(value, _WHOLE), list.extend),
    dict: _filled(dict, lambda value: dict(dict.items(value)), dict.update),
    set: _filled(set, lambda value: set(set.__iter__(value)), set.update),
    datetime: _fields(datetime, *_DAY, *_CLOCK),
    date: _fields(date, *_DAY),
    time: _fields(time, *_CLOCK),
    timedelta: _fields(timedelta, "days", "seconds", "microseconds"),
    UUID: (lambda value: UUID(bytes=value.bytes), _made_uuid),
}
"""For each plain type: its plain form of an object, and an object of a subclass from that form."""
