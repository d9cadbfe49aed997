"""A cached function that stands in a class: a descriptor, so that its handles know the object.

`repo.load.invalidate(1)` invalidates what `repo.load(1)` stored. Both this and the bound form look
like functions to `inspect`: they carry its code, defaults and annotations.
"""

from __future__ import annotations

import functools
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HANDLES: Final = ("invalidate", "refresh", "peek", "key_for")
"""Handles that take the call's arguments, the object among them."""


class CachedMethod:
    """A cached function as an attribute of a class; called through the class it is the function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        look_like(self, function)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        return self if owner is None else BoundMethod(self._function, owner)

    def __repr__(self) -> str:
        return f"<cached {self._function!r}>"


class BoundMethod:
    """A cached method of one object: calls and handles have the object as first argument."""

    def __init__(self, function: Callable[..., Any], owner: object) -> None:
        self.__self__ = owner
        self.__func__ = function
        self.__doc__ = function.__doc__

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        function = self.__func__
        found = getattr(function, name)
        if name in HANDLES:
            return functools.partial(found, self.__self__)
        if name == "store":
            return functools.partial(store_for, found, self.__self__)
        return found

    @property
    def __signature__(self) -> Signature:
        whole = signature(self.__func__)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BoundMethod)
            and self.__self__ is other.__self__
            and self.__func__ is other.__func__
        )

    def __hash__(self) -> int:
        return hash((id(self.__self__), self.__func__))

    def __repr__(self) -> str:
        return f"<bound cached {self.__func__!r} of {type(self.__self__).__name__}>"


def store_for(
    store: Callable[..., Any], owner: object, value: Any, /, *args: Any, **kwargs: Any
) -> Any:
    """Call the `store` handle, whose first argument is the value and not the object."""
    return store(value, owner, *args, **kwargs)


def look_like(shown: Any, function: Any) -> None:
    """Let `inspect` take an object for the function: `iscoroutinefunction` reads these."""
    shown.__code__ = function.__code__
    shown.__defaults__ = function.__defaults__
    shown.__kwdefaults__ = function.__kwdefaults__
