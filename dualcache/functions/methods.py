"""A cached function in a class: to Python it is a function there and a method of each object.

`repo.load.invalidate(1)` invalidates what `repo.load(1)` stored, so the bound method has to be one
of ours: Python's own looks its attributes up on the function and hides the object from them.
`isinstance` takes both forms for what they stand for. Their `__call__` is a slot that holds the
function itself, so that a call runs no code of theirs.
"""

from __future__ import annotations

import functools
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, Self

from dualcache.functions.method_handles import MethodHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.keys.signature import FunctionSignature

__all__ = ["BoundMethod", "CachedClassMethod", "CachedMethod", "as_attribute", "decorated_inside"]

ACTING: Final = ("invalidate", "expire", "refresh", "peek", "store", "warm", "key_for")
"""Handles that take the call's arguments, the object among them."""


def as_attribute(function: Any, signature: FunctionSignature) -> Any:
    """Return the form of a compiled function that can stand in a class, where it may.

    A function outside of a class whose first parameter is `self` may be assigned to one later.
    """
    if not signature.is_in_class and signature.parameters[:1] != ("self",):
        return function
    for name in ACTING:
        handle = vars(function).get(name)
        if handle is not None and not isinstance(handle, MethodHandle):
            setattr(function, name, MethodHandle(handle, signature))
    return CachedMethod(function) if MethodHandle.any_of(function) else function


class CachedMethod:
    """A cached function as an attribute of a class."""

    __slots__ = ("__call__", "__dict__", "__weakref__")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__call__ = function
        functools.update_wrapper(self, function)
        vars(self).update(vars(function))  # `__wrapped__` is the function as it was

    @property  # type: ignore[misc]  # what isinstance() is to see
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]  the same
        return FunctionType

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__call__, name)

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        return self if owner is None else BoundMethod(self, owner)

    def __reduce__(self) -> str:  # as a function: by its name
        return self.__call__.__qualname__

    def __repr__(self) -> str:
        return f"<cached {self.__call__!r}>"


class BoundMethod:
    """A cached method of one object: calls and handles have the object as first argument."""

    __slots__ = ("__call__", "__func__", "__weakref__")

    def __init__(self, function: CachedMethod, owner: object) -> None:
        self.__call__ = MethodType(function.__call__, owner)
        self.__func__ = function

    @property  # type: ignore[misc]  # what isinstance() is to see
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]  the same
        return MethodType

    @property
    def __self__(self) -> Any:
        return self.__call__.__self__

    @property
    def __module__(self) -> str:  # type: ignore[override]  # the class has one of its own
        return self.__func__.__module__

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]  # the same
        return self.__func__.__doc__

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]  # the same
        # Python puts an empty dict into a class whose annotations somebody asked for.
        return self.__func__.__annotations__

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # what functools.wraps copies
        return {name: getattr(self, name) for name in vars(self.__func__)}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__func__, name)
        return found.bound_to(self.__self__) if isinstance(found, MethodHandle) else found

    def __get__(self, owner: object, kind: type | None = None) -> Self:
        return self

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, self.__func__.__name__)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BoundMethod)
            and self.__self__ is other.__self__
            and self.__func__ is other.__func__
        )

    def __hash__(self) -> int:
        return hash((id(self.__self__), self.__func__))

    def __repr__(self) -> str:
        return f"<bound cached {self.__func__.__call__!r} of {type(self.__self__).__name__}>"


class CachedClassMethod(classmethod):  # type: ignore[type-arg]  # it takes what it wraps as it is
    """A class method whose handles know the class.

    From Python 3.13 on, `classmethod` binds with Python's own method, whatever it wraps.
    """

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self.__func__.__get__(type(owner) if kind is None else kind)


def decorated_inside(function: Any, decorate: Callable[[Any], Any]) -> Any:
    """Decorate what a `staticmethod` or a `classmethod` holds, or else the function itself."""
    if isinstance(function, staticmethod):
        return staticmethod(decorate(function.__func__))
    if isinstance(function, classmethod):
        made = decorate(function.__func__)
        kind = CachedClassMethod if isinstance(made, CachedMethod) else classmethod
        return kind(made)
    return decorate(function)
