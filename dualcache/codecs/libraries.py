"""Types of the standard library, numpy and asyncpg that the tagged form keeps by a fixed name.

Each is taken apart into plain parts and put together from exactly those. The name selects from this
table and nothing is imported for it, except from the standard library.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.codecs.hashing import paired
from dualcache.core.codec_ids import unknown_type

if TYPE_CHECKING:
    from collections import Counter, OrderedDict, defaultdict, deque
    from collections.abc import Callable

__all__ = ["LIBRARIES", "parts_of", "raised"]


class _Library(NamedTuple):
    """How the values of one type are taken apart and put together."""

    module: str
    name: str
    parts: Callable[[Any], Any]
    made: Callable[[Any, Any], Any]


def parts_of(value: Any) -> tuple[str, Any] | None:
    """Return the stored name of a value's type and its plain parts; `None` if it is not here."""
    kind = type(value)
    module = kind.__module__.removesuffix("._local")  # where Python 3.13 defines its paths
    name = f"{module}.{kind.__qualname__}"
    library = LIBRARIES.get(name)
    if library is None or getattr(sys.modules.get(library.module), library.name, None) is not kind:
        return None
    parts = library.parts(value)
    return None if parts is None else (name, parts)


def raised(name: str, parts: Any, _: set[str] | None = None) -> Any:
    """Put a value together; raise `DecodeError` where its type is not loaded."""
    library = LIBRARIES[name]
    module = sys.modules.get(library.module)
    if module is None and library.module in _STANDARD:
        module = import_module(library.module)
    kind = getattr(module, library.name, None)
    if kind is None:
        raise unknown_type(name)
    return library.made(kind, parts)


def _items(parts: Any) -> list[Any]:
    if type(parts) is not list:
        raise TypeError
    return parts


def _flat(value: dict[Any, Any]) -> list[Any]:
    return [part for pair in value.items() for part in pair]


def _ordered(kind: type[OrderedDict[Any, Any]], parts: Any) -> Any:
    return kind(paired(_items(parts)))


def _counter(kind: type[Counter[Any]], parts: Any) -> Any:
    counter = kind()
    dict.update(counter, paired(_items(parts)))  # its own update() would add
    return counter


def _default_parts(value: defaultdict[Any, Any]) -> list[Any] | None:
    factory = value.default_factory
    if factory is None:
        return [None, *_flat(value)]
    name = next((name for name, kind in _FACTORIES.items() if kind is factory), None)
    return None if name is None else [name, *_flat(value)]  # a function cannot be kept


def _default(kind: type[defaultdict[Any, Any]], parts: Any) -> Any:
    name, *flat = _items(parts)
    return kind(None if name is None else _FACTORIES[name], paired(flat))


def _deque(kind: type[deque[Any]], parts: Any) -> Any:
    most, *items = _items(parts)
    if most is not None and (type(most) is not int or len(items) > most):
        raise ValueError
    return kind(items, most)


def _text(kind: Callable[[str], Any], parts: Any) -> Any:
    if type(parts) is not str:
        raise TypeError
    return kind(parts)


def _number(kind: Callable[[Any], Any], parts: Any) -> Any:
    if type(parts) not in (int, float, bool):
        raise TypeError
    value = kind(parts)
    if value != parts and parts == parts:  # noqa: PLR0124  a number that does not fit; not NaN
        raise ValueError
    return value


def _complex(kind: Callable[[complex], Any], parts: Any) -> Any:
    if type(parts) is not complex:
        raise TypeError
    return kind(parts)


def _time_parts(value: Any) -> list[Any]:
    unit, count = sys.modules["numpy"].datetime_data(value.dtype)
    return [unit, int(count), int(value.view("int64"))]


def _time(kind: Callable[..., Any], parts: Any) -> Any:
    unit, count, number = _items(parts)
    if type(unit) is not str or type(count) is not int or type(number) is not int:
        raise TypeError
    value = "NaT" if number == _NOT_A_TIME else number
    return kind(value) if unit == "generic" else kind(value, (unit, count))


def _uuid(kind: Callable[[bytes], Any], parts: Any) -> Any:
    if type(parts) is not bytes:
        raise TypeError
    return kind(parts)


_NOT_A_TIME: Final = -(2**63)
_STANDARD: Final = ("collections", "pathlib", "ipaddress")
_FACTORIES: Final[dict[str, type]] = {
    kind.__name__: kind
    for kind in (bool, bytes, dict, float, frozenset, int, list, set, str, tuple)
}
_PATHS: Final = ("PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
_ADDRESSES: Final = tuple(
    f"IPv{version}{what}" for version in (4, 6) for what in ("Address", "Interface", "Network")
)
_INTS: Final = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_LISTED: Final = (
    _Library("collections", "OrderedDict", _flat, _ordered),
    _Library("collections", "Counter", _flat, _counter),
    _Library("collections", "defaultdict", _default_parts, _default),
    _Library("collections", "deque", lambda value: [value.maxlen, *value], _deque),
    *(_Library("pathlib", name, str, _text) for name in _PATHS),
    *(_Library("ipaddress", name, str, _text) for name in _ADDRESSES),
    *(_Library("numpy", name, int, _number) for name in (*_INTS, "longlong", "ulonglong")),
    *(_Library("numpy", name, float, _number) for name in ("float16", "float32", "float64")),
    *(_Library("numpy", name, bool, _number) for name in ("bool", "bool_")),
    *(_Library("numpy", name, complex, _complex) for name in ("complex64", "complex128")),
    *(_Library("numpy", name, _time_parts, _time) for name in ("datetime64", "timedelta64")),
    _Library("numpy", "str_", str.__str__, _text),
    _Library("asyncpg.pgproto.pgproto", "UUID", lambda value: value.bytes, _uuid),
)
LIBRARIES: Final[dict[str, _Library]] = {f"{each.module}.{each.name}": each for each in _LISTED}
"""By the stored name. Part of the stored format: a name is never given another meaning."""
