"""Handles of a method, which have to know its object.

Through `repo.load` they do. Under a decorator of somebody else's, and from Python 3.13 on under
`@classmethod`, Python's own bound method hands the handle out without the object: its first
argument then stands where the object should, and would give the key of another call in silence.
"""

from __future__ import annotations

import functools
import weakref
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, Final, Self

from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache.keys.signature import FunctionSignature

__all__ = ["BoundAfterFirst", "MethodHandle"]

BEFORE_OBJECT: Final = ("store", "warm")
"""Handles whose first argument comes before the object."""


class MethodHandle(functools.partial[Any]):
    """A handle of a method that is reached through the class: the object is its first argument."""

    signature: FunctionSignature
    home: Callable[[], type | None]

    def __new__(cls, handle: Callable[..., Any], signature: FunctionSignature) -> Self:
        made = super().__new__(cls, handle)
        made.signature = signature
        made.home = _no_class
        return made

    @staticmethod
    def any_of(function: object) -> bool:
        """Whether a function has such handles."""
        return any(isinstance(each, MethodHandle) for each in vars(function).values())

    @property
    def name(self) -> str:
        return self.func.__name__

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        before = 1 if self.name in BEFORE_OBJECT else 0
        if self.signature.first_is_receiver and not self.has_receiver(args[before:], kwargs):
            args = (*args[:before], self.only_class(args[before:]), *args[before:])
        return self.func(*args, **kwargs)

    def bound_to(self, owner: object) -> functools.partial[Any]:
        """Return the handle of one object."""
        return (BoundAfterFirst if self.name in BEFORE_OBJECT else functools.partial)(
            self.func, owner
        )

    def has_receiver(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Tell whether the first argument can be the object: it has an attribute of this name."""
        given = args[0] if args else kwargs.get(self.signature.parameters[0])
        home = getattr(self.signature.function, "__objclass__", None)  # a method that is made in C
        if home is not None:
            return isinstance(given, home)
        is_plain = not isinstance(given, type) and type(given).__module__ == "builtins"
        return not is_plain and any(
            hasattr(given, name) for name in _names_in_class(self.signature)
        )

    def only_class(self, args: tuple[Any, ...]) -> type:
        """Return the class whose class method this is, if it can be no other."""
        home = self.home() or _home_of(self.signature)
        if home is None:
            raise _no_receiver(self, args, "put the cache's decorator above the other decorator")
        if any(True for _ in _heirs(home, self.signature)):
            raise _no_receiver(self, args, "write @cache above @classmethod")
        self.home = weakref.ref(home)
        return home


class BoundAfterFirst(functools.partial[Any]):
    """A handle of one object that takes something else before it: `store`, `warm`."""

    def __call__(self, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self.func(value, *self.args, *args, **kwargs)


def _names_in_class(signature: FunctionSignature) -> tuple[str, ...]:
    """Return the names under which a class may hold the function: a private one is mangled."""
    name = signature.qualname.rpartition(".")[2]
    owner = signature.qualname.split(".")[-2].lstrip("_")
    return (name, f"_{owner}{name}") if name.startswith("__") else (name,)


def _home_of(signature: FunctionSignature) -> type | None:
    """Return the class that holds the function as a class method; local classes too."""
    return next((kind for kind in _descendants(object) if _held_by(kind, signature)), None)


def _held_by(kind: type, signature: FunctionSignature) -> Any:
    """Return the class method of the function that stands in this very class, or `None`."""
    for name in _names_in_class(signature):
        held = vars(kind).get(name)
        layer = held.__func__ if isinstance(held, classmethod) else None
        while layer is not None:
            if layer is signature.function:
                return held
            layer = getattr(layer, "__wrapped__", None)
    return None


def _heirs(home: type, signature: FunctionSignature) -> Iterator[type]:
    """Yield the classes that inherit the class method, and so may be the one that is meant."""
    held = _held_by(home, signature)
    for kind in _descendants(home):
        if any(getattr_static(kind, name, None) is held for name in _names_in_class(signature)):
            yield kind


def _descendants(kind: type) -> Iterator[type]:
    # By identity: a metaclass may define `==` without a hash.
    seen, waiting = {id(kind)}, [kind]
    while waiting:
        below: list[type] = type.__subclasses__(waiting.pop())
        for each in below:
            if id(each) not in seen:
                seen.add(id(each))
                waiting.append(each)
                yield each


def _no_class() -> None:
    return None


def _no_receiver(handle: MethodHandle, args: tuple[Any, ...], fix: str) -> UsageError:
    signature, first = handle.signature, handle.signature.parameters[0]
    what = "class" if first == "cls" else "object"
    given = f"a value of type {type(args[0]).__name__}" if args else "nothing"
    return UsageError(
        f"{handle.name}() of {signature.name} does not know its {what}",
        code="DC117",
        details=[
            ("given", f"{given} where {first} belongs"),
            ("why", "a decorator above the cache's hides it from the handles"),
        ],
        help=f"{fix}, or give it as the first argument",
    )
