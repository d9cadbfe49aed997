"""What to tell about a value that no form keeps: which type is at fault, and the line to write.

Names types, never values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.codecs.ids import CodecId
from dualcache.codecs.objects import is_value_class
from dualcache.core.entry import MISSING
from dualcache.errors import UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["advice_for"]


def advice_for(
    value: Any, annotation: object, tried: Sequence[CodecId], errors: Sequence[Exception]
) -> UnencodableValue:
    """Build the error for a value that none of the forms `tried` keeps."""
    told = next((error for error in errors if isinstance(error, UnencodableValue)), None)
    if told is not None and told.help:
        return told
    culprit = getattr(told, "culprit", None) or _name(type(value))
    error = UnencodableValue(
        f"a value of type {_name(type(value))} cannot be stored so that it comes back the same",
        code="DC302" if tried[0] in (CodecId.PICKLE, CodecId.USER) else "DC300",
        details=[] if culprit == _name(type(value)) else [("because", f"a part is a {culprit}")],
        help=_help(value, annotation, tried[0]),
    )
    if errors and tried[0] in (CodecId.PICKLE, CodecId.USER):
        error.__cause__ = errors[-1]
    return error


def _help(value: Any, annotation: object, first: CodecId) -> str:
    kind: type[Any] = type(value)
    if first in (CodecId.PICKLE, CodecId.USER):
        return "return a value that the configured codec takes"
    if first == CodecId.RAW_BYTES:
        return 'codec="raw" keeps bytes and str; leave codec= out for other values'
    if hasattr(kind, "read") or hasattr(kind, "acquire"):
        return "return what is needed of it as plain values: it belongs to this process"
    if hasattr(kind, "__await__"):
        return "await it and return the result, or make the function async def"
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return "return a list of the items: an iterator can be read only once"
    if is_value_class(kind) and annotation is MISSING:
        return f"annotate the function: -> {kind.__name__}"
    if first == CodecId.JSON:
        return "leave codec= out: the default keeps more types than JSON"
    return (
        "annotate the function with exactly the types it returns, "
        'or give codec="pickle" with a secret, or a codec of your own'
    )


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
