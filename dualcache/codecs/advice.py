"""Advice about a value that no form keeps: the part that is at fault, and the line to write.

Names places and types, never values.
"""

from __future__ import annotations

from datetime import tzinfo
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.codecs.objects import is_value_class
from dualcache.codecs.places import Place, find_unkept
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import MISSING
from dualcache.core.interrupts import interrupt_in
from dualcache.errors import UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FUNCTION", "Teller", "advice_for"]

_OWN_CODECS: Final = (CodecId.PICKLE, CodecId.USER)
_PLAIN: Final = (str, bytes, int, float, list, tuple, dict, set, frozenset)

_OF_A_PROCESS: Final = "return plain values from it: the object belongs to this process"
_OF_A_SESSION: Final = (
    "return a dict, a dataclass or a model of it: the object belongs to its session"
)
_READ_ONCE: Final = "return a list of the items: an iterator can be read only once"
_LINES: Final = (
    ("read", _OF_A_PROCESS),
    ("acquire", _OF_A_PROCESS),
    ("__await__", "await it and return the result, or make the function async def"),
    ("__next__", _READ_ONCE),
    ("__anext__", _READ_ONCE),
    ("__mapper__", _OF_A_SESSION),  # SQLAlchemy
    ("DoesNotExist", _OF_A_SESSION),  # Django, Tortoise, Peewee
    ("_mapping", "return dict(row._mapping), or a dataclass or a model of the row"),
    ("to_dict", 'give codec="arrow", or return plain values, such as those of its to_dict()'),
    ("tolist", 'give codec="numpy", or return plain values, such as those of its tolist()'),
)
"""The mark of each kind of object, and the line for it; the first that fits is taken."""


class Teller(NamedTuple):
    """Who stores a value: a decorated function, or a direct call that has nothing to annotate.

    `is_local`: on `memory://`, where objects can be kept as they are.
    """

    is_direct: bool = False
    is_local: bool = False


FUNCTION: Final = Teller()


def advice_for(
    value: Any,
    annotation: object,
    tried: Sequence[CodecId],
    errors: Sequence[Exception],
    teller: Teller = FUNCTION,
) -> UnencodableValue:
    """Build the error for a value that none of the forms `tried` keeps."""
    told = next((error for error in errors if isinstance(error, UnencodableValue)), None)
    if told is not None and told.help:
        return told
    first = CodecId.PICKLE if CodecId.PICKLE in tried else tried[0]
    try:
        what, help_line = _told(value, annotation, first, teller)
    except Exception as raised:  # the user's classes are looked at: anything may be raised
        if interrupt_in(raised) is not None:
            raise
        what, help_line = f"a value of {type.__repr__(type(value))}", "return plain values of it"
    error = UnencodableValue(
        f"{what} cannot be stored so that it comes back the same",
        code="DC302" if first in _OWN_CODECS else "DC300",
        help=help_line,
    )
    if errors and first in _OWN_CODECS:
        error.__cause__ = errors[-1]
    return error


def _told(value: Any, annotation: object, first: CodecId, teller: Teller) -> tuple[str, str]:
    """Return the place and type of the part that is at fault, and the line that helps."""
    root = "value" if teller.is_direct else "result"
    place = Place(root, value)
    if first not in (*_OWN_CODECS, CodecId.RAW_BYTES):
        place = find_unkept(value, root, annotation) or place
    where = "" if place.path == root else f"{place.path}: "
    what = f"{where}a value of type {_name(type(place.part))}"
    return what, _help(place, value, annotation, first, teller)


def _help(place: Place, value: Any, annotation: object, first: CodecId, teller: Teller) -> str:
    kind: type[Any] = type(place.part)
    give = "store" if teller.is_direct else "return"
    if first in _OWN_CODECS:
        return f"{give} a value that the configured codec takes"
    if first == CodecId.RAW_BYTES:
        return 'codec="raw" keeps bytes and str; leave codec= out for other values'
    told = _help_for_kind(place.part, give)
    if told:
        return told
    if annotation is MISSING and (is_value_class(kind) or issubclass(kind, Enum)):
        return _annotated(place, value, kind, teller)
    if first == CodecId.JSON:
        return "leave codec= out: the default keeps more types than JSON"
    if annotation is not MISSING and (place.part is value or is_value_class(kind)):
        return (
            "annotate the function with exactly the types it returns, "
            'or give codec="pickle" with a secret, or a codec of your own'
        )
    if teller.is_local:
        return f'{give} a dict, a dataclass or a model of it, or give codec="reference"'
    return f'{give} a dict, a dataclass or a model of it, or give codec="pickle" with a secret'


def _help_for_kind(part: Any, give: str) -> str:
    """Return the line for a kind of object that no annotation makes storable, or nothing."""
    kind: type[Any] = type(part)
    for name, line in _LINES:
        if hasattr(kind, name):
            return line.replace("return", give)
    if isinstance(part, tzinfo):
        return f"{give} times of a zoneinfo.ZoneInfo or a datetime.timezone"
    if hasattr(kind, "keys") and not isinstance(part, dict):
        return f"{give} dict(row), or a dataclass or a model of the row"
    is_subclass = isinstance(part, _PLAIN) and kind not in _PLAIN
    if is_subclass and not isinstance(part, Enum) and not is_value_class(kind):
        plain = next(base.__name__ for base in _PLAIN if isinstance(part, base))
        return f"{give} a plain {plain} of it"
    return ""


def _annotated(place: Place, value: Any, kind: type, teller: Teller) -> str:
    """Return the line that lets a class with fields, or an enum, be read back."""
    name = kind.__name__
    if place.part is value:
        whole = name
    elif type(value) is list and place.path.count("[") == 1 and place.path.endswith("]"):
        whole = f"list[{name}]"
    else:
        whole = ""
    if teller.is_direct:
        return f"give get_or_load() the type, type={whole or '…'}; or store plain values"
    if whole:
        return f"annotate the function: -> {whole}"
    return f"annotate the function with all that it returns, {name} included"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
