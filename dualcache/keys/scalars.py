"""Values of one text: dates and times, numbers, paths and addresses that are no builtins.

Their classes are known by name, so that nothing is imported for values that nobody has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.errors import UnkeyableArgument
from dualcache.keys.digests import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, time, timedelta, tzinfo

__all__ = ["is_free_scalar", "is_scalar_value", "scalar_writer", "unkeyable"]


def is_scalar_value(kind: type[Any]) -> bool:
    """Tell whether a class is, or derives from, one that is written as one text."""
    return scalar_writer(kind) is not None


def is_free_scalar(kind: type[Any]) -> bool:
    """Tell whether the text of such a value may hold nearly any character: a path, a URL."""
    return any(_name_of(parent) in _FREE for parent in kind.__mro__)


def scalar_writer(kind: type[Any]) -> tuple[str, Callable[[Any], str]] | None:
    """Return the name of a scalar's canonical form, and the writer of its text."""
    for parent in kind.__mro__:
        writer = _SCALARS.get(_name_of(parent))
        if writer is not None:
            return writer
    return None


def unkeyable(kind: type[Any], why: str = "has no canonical form") -> UnkeyableArgument:
    """Build the error for a value of a class that cannot be part of a key."""
    return UnkeyableArgument(
        "a value cannot be part of a key",
        code="DC110",
        details=[("type", f"{kind.__module__}.{kind.__qualname__} {why}")],
        help="give the class a __cache_key__() method that returns the part that identifies its "
        "value",
    )


def _name_of(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _moment(value: datetime | time) -> str:
    zone = "" if value.tzinfo is None else _zone(value.tzinfo)
    return f"{value.isoformat()}{zone}{';fold' if value.fold else ''}"


def _zone(zone: tzinfo) -> str:
    """Name the zone as RFC 9557 does; a fixed offset is named by isoformat() already."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if isinstance(name, str):
        return f"[{name}]"
    try:
        is_fixed = zone.utcoffset(None) is not None
    except Exception:  # noqa: BLE001  a tzinfo that wants a datetime is not fixed
        is_fixed = False
    if not is_fixed:
        raise unkeyable(type(zone), "is neither a named zone nor a fixed offset")
    return ""


def _seconds(value: timedelta) -> str:
    micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    whole, rest = divmod(abs(micros), 1_000_000)
    sign = "-" if micros < 0 else ""
    return f"{sign}{whole}.{rest:06d}s" if rest else f"{sign}{whole}s"


def _url(value: Any) -> str:
    """Write a URL; one with user name or password is digested, since keys are seen by many."""
    written = str(value)
    authority = written.partition("://")[2].partition("/")[0]
    return digest(written) if "@" in authority else written


_SCALARS: Final[dict[str, tuple[str, Callable[[Any], str]]]] = {
    "uuid.UUID": ("UUID", str),
    "datetime.datetime": ("datetime", _moment),
    "datetime.date": ("date", lambda value: str(value.isoformat())),
    "datetime.time": ("time", _moment),
    "datetime.timedelta": ("timedelta", _seconds),
    "decimal.Decimal": ("Decimal", str),
    "fractions.Fraction": ("Fraction", lambda value: f"{value.numerator}/{value.denominator}"),
    **dict.fromkeys(("pathlib.PurePath", "pathlib._local.PurePath"), ("Path", str)),
    "ipaddress.IPv4Address": ("IPv4Address", str),
    "ipaddress.IPv6Address": ("IPv6Address", str),
    "ipaddress.IPv4Network": ("IPv4Network", str),
    "ipaddress.IPv6Network": ("IPv6Network", str),
    "pydantic_core._pydantic_core.Url": ("Url", _url),
    "pydantic_core._pydantic_core.MultiHostUrl": ("Url", _url),
    "pydantic.networks._BaseUrl": ("Url", _url),
    "pydantic.networks._BaseMultiHostUrl": ("Url", _url),
    "msgspec.UnsetType": ("Unset", lambda _: "UNSET"),
    "numpy.integer": ("integer", lambda value: str(int(value))),
    # Through float, as str() of a NumPy float depends on its print options.
    "numpy.floating": ("floating", lambda value: float.__repr__(float(value))),
    **dict.fromkeys(("numpy.bool_", "numpy.bool"), ("bool", lambda value: str(bool(value)))),
    **dict.fromkeys(("numpy.datetime64", "numpy.timedelta64"), ("time", str)),
}
_FREE: Final = frozenset(
    {"pathlib.PurePath", "pathlib._local.PurePath", "ipaddress.IPv6Address"}
    | {name for name in _SCALARS if name.startswith("pydantic")}
)
