"""Exceptions as bytes, for negative entries: the name of the type, its arguments, its attributes.

All of it is plain, and nothing is imported by name. Only types that an option lists are made, each
as its built-in base makes it: no code of the type runs, whatever the bytes.
"""

from __future__ import annotations

from functools import partial
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final

from dualcache.codecs import tagged
from dualcache.codecs.compare import is_same
from dualcache.core.codec_ids import CodecId, undecodable, unknown_type
from dualcache.core.entry import Packed
from dualcache.core.interrupts import interrupt_in
from dualcache.errors import DecodeError, UnencodableValue
from dualcache.keys.main_module import module_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["NegativeForm"]

_HEAP_TYPE: Final = 1 << 9
_NOTES: Final = "__notes__"
"""The only special name among an exception's attributes: its notes (PEP 678)."""


class NegativeForm:
    """How the exceptions of the listed types become bytes and come back."""

    __slots__ = ("_kinds", "_known", "_max_bytes")

    def __init__(
        self, kinds: Sequence[type[Exception]], known: set[str] | None, max_bytes: int
    ) -> None:
        self._kinds = {_name_of(kind): kind for kind in kinds}
        self._known = known
        self._max_bytes = max_bytes

    @property
    def ways(self) -> dict[str, Any]:
        """The fields of a `ValueCodec` that exceptions need."""
        return {"lists": self.lists, "pack_error": self.pack, "is_same_error": self.is_same}

    def lists(self, error: Exception) -> bool:
        """Tell whether an exception is of a listed type; a subclass of one is not listed."""
        kind = type(error)
        return any(each is kind for each in self._kinds.values())

    def pack(self, error: Exception) -> Packed | None:
        """Return an exception as bytes; `None` where it is of no listed type.

        Raises `UnencodableValue` where another process would not raise an equal one: for a subclass
        that is not listed itself, as only listed types are ever made, and for what is not plain.
        """
        if not self.lists(error):
            bases = [each for each in self._kinds.values() if isinstance(error, each)]
            if bases:
                raise _not_listed(type(error), bases[0])
            return None
        args, state = _parts_of(error)
        data = self._spelled([_name_of(type(error)), args, dict(_sorted(state))])
        if data is not None and len(data) > self._max_bytes:
            raise _too_large(len(data), self._max_bytes)
        if data is None or not self._is_kept(error, data):
            held = {f"args[{at}]": arg for at, arg in enumerate(args)} | state
            odd = [name for name, each in held.items() if self._spelled(each) is None]
            raise _not_plain(type(error), odd[0] if odd else "")
        return Packed(CodecId.NEGATIVE, 0, data)

    def _spelled(self, value: Any) -> bytes | None:
        """Return plain values as bytes; `None` for any other."""
        try:
            return tagged.encode(value, has_objects=False, known=self._known)
        except Exception as error:
            if interrupt_in(error) is not None:
                raise
            return None

    def _is_kept(self, error: Exception, data: bytes) -> bool:
        """Tell whether the bytes of an exception give an equal one."""
        try:
            return self.is_same(error, self.recall(data)())
        except DecodeError:
            return False

    def recall(self, data: bytes | memoryview) -> Callable[[], Exception]:
        """Return the maker of an exception that was packed; each call makes a fresh one.

        Raises `DecodeError`: `unknown_type` for a type that is not listed.
        """
        if len(data) > self._max_bytes:
            raise undecodable("oversized", "the payload is over max_value_bytes", code="DC311")
        try:
            recall = partial(_made, *self._parts(data))
            recall()
        except DecodeError:
            raise
        except Exception as error:
            if interrupt_in(error) is not None:
                raise
            raise undecodable(
                "payload", "the payload is not an exception", code="DC311", cause=error
            ) from None
        return recall

    def _parts(self, data: bytes | memoryview) -> tuple[type, tuple[Any, ...], dict[str, Any]]:
        """Return type, arguments and attributes; raise anything for hostile bytes."""
        name, args, state = tagged.decode(data, self._known)
        if type(name) is not str or type(args) is not tuple or type(state) is not dict:
            raise TypeError
        kind = self._kinds.get(name)
        if kind is None:
            raise unknown_type(name)
        return kind, args, state

    @staticmethod
    def is_same(one: Exception, other: Exception) -> bool:
        """Tell whether a caller could not tell one exception from another.

        Type, arguments and attributes count; cause, context and traceback are those of a raise.
        """
        if type(one) is not type(other):
            return False
        if any(hasattr(one, name) for name in _slots_of(type(one))):
            return False  # the base keeps none of them
        (args, state), (other_args, other_state) = _parts_of(one), _parts_of(other)
        return (
            is_same(one.args, other.args)
            and is_same(args, other_args)
            and is_same(_sorted(state), _sorted(other_state))
        )


def _name_of(kind: type) -> str:
    """Return the name of a type in every process."""
    return f"{module_name(kind.__module__)}:{kind.__qualname__}"


def _base_of(kind: type) -> Any:
    """Return the built-in class that makes the exceptions of a type."""
    return next(each for each in kind.__mro__ if not each.__flags__ & _HEAP_TYPE)


def _parts_of(error: Exception) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments and attributes from which the built-in base makes an equal exception.

    The arguments are those of the base: an `OSError` has its file among them, and not in `args`.
    """
    _, args, *rest = _base_of(type(error)).__reduce__(error)
    return args, (rest[0] if rest else None) or {}


def _sorted(state: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return attributes by their names: the order in which they were set tells nobody."""
    return sorted(state.items(), key=lambda item: str(item[0]))


def _made(kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    """Make an exception as its built-in base does; raise anything for hostile parts.

    An `__init__` of the type is not run: what it takes need not be `args`, as with
    `HTTPException(404, detail="…")`, and what it has set is in `state`.
    """
    base = _base_of(kind)
    error: Exception = base.__new__(kind, *args)
    base.__init__(error, *args)
    for name, value in state.items():
        if type(name) is not str or not _is_plain(kind, name):
            raise TypeError
        base.__setattr__(error, name, value)
    return error


def _is_plain(kind: type, name: str) -> bool:
    """Tell whether to set an attribute runs no code, and hides none from those who use it."""
    if name.startswith("__"):
        return name == _NOTES
    for each in kind.__mro__:
        if name in vars(each):
            # A field in C, as the `name` of an ImportError, or a default that an object overrides.
            is_field = not each.__flags__ & _HEAP_TYPE and hasattr(vars(each)[name], "__set__")
            return is_field or not hasattr(type(vars(each)[name]), "__get__")
    return True


def _slots_of(kind: type) -> Iterator[str]:
    """Return the names of the fields that Python classes keep outside of `__dict__`."""
    for each in kind.__mro__:
        if each.__flags__ & _HEAP_TYPE:
            yield from (name for name, at in vars(each).items() if type(at) is MemberDescriptorType)


def _not_listed(kind: type, base: type) -> UnencodableValue:
    return UnencodableValue(
        f"a {kind.__qualname__} was raised, and cache_exceptions lists only its base "
        f"{base.__qualname__}",
        code="DC427",
        help="list it too, because the cache raises only listed types: "
        f"cache_exceptions=({base.__qualname__}, {kind.__qualname__})",
    )


def _not_plain(kind: type, place: str) -> UnencodableValue:
    where = f", in {place}" if place else ""
    return UnencodableValue(
        f"a {kind.__qualname__} that was raised holds more than plain values{where}",
        code="DC427",
        help="give it numbers and text, and no connection, response or other exception",
    )


def _too_large(size: int, most: int) -> UnencodableValue:
    return UnencodableValue(
        f"an exception takes {size} bytes, more than max_value_bytes={most}",
        code="DC427",
        help="put less into it, or raise max_value_bytes",
    )
