"""The names of classes in stored values: the same in every process, and nothing to import by."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from dualcache.core.codec_ids import other_shape, unknown_type
from dualcache.core.entry import SHAPE_BYTES
from dualcache.keys.main_module import module_name

if TYPE_CHECKING:
    from dualcache.errors import DecodeError

__all__ = ["found", "name_of", "not_learned", "take_for_foreign"]

_MOST_FOREIGN: Final = 1_024
_foreign: Final[dict[str, bytes]] = {}


def name_of(kind: type) -> str | None:
    """Return the name of a class in every process; `None` where it is not found under its own."""
    module, path = kind.__module__, kind.__qualname__
    if found(module, path) is not kind:
        return None
    # A script that is run and one that is imported have the same classes, unless both are loaded.
    real = module_name(module)
    return f"{real if found(real, path) in (kind, None) else module}:{path}"


def not_learned(name: str) -> DecodeError:
    """Build the error of a value whose class this process has not learned."""
    own = _foreign.get(name)
    return unknown_type(name) if own is None else other_shape(own)


def take_for_foreign(name: str) -> None:
    """Note that a load did not teach the class of this name: it belongs to another release.

    Until the class is learned, what holds one of its objects is of another shape.
    """
    if len(_foreign) < _MOST_FOREIGN:
        from hashlib import blake2b  # loads OpenSSL: not at import

        digest = blake2b(name.encode(), digest_size=SHAPE_BYTES, person=b"dualcache name")
        _foreign[name] = digest.digest()


def found(module: str, path: str) -> object:
    """Return the object that a loaded module has under a name, or `None`."""
    each: object = sys.modules.get(module)
    for part in path.split("."):
        each = getattr(each, part, None)
    return each
