"""The difference between functions of the same code: the variables around them, and defaults.

Kept is a description that compares when the function is gone, and keeps nothing large alive.
"""

from __future__ import annotations

import weakref
from types import CodeType, FunctionType, NoneType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["GONE", "Closure", "reference"]

MOST_DEPTH: Final = 8
"""So deep are functions in the closures of functions described."""
PLAIN: Final = (str, bytes, int, float, complex, bool, NoneType, CodeType)
GONE: Final = object()
"""Stands for a value that was only referred to weakly: nothing is the same as that."""


class Closure:
    """The code of one function and the variables around it, functions among them in turn.

    Of these the defaults count too; those of the function itself are in its keys.
    """

    def __init__(self, function: Any, depth: int = 0) -> None:
        self.variables = {
            name: _variable(reference(function), name, value, depth)
            for name, value in _made_of(function, with_defaults=depth > 0)
        }

    def is_same(self, other: Closure) -> bool:
        """Tell whether the difference between two functions can make none in their results.

        A variable that has no value yet is mostly the name of the function itself.
        """
        mine, others = self.variables, other.variables
        return all(_is_same(mine[name](), others[name]()) for name in mine.keys() & others.keys())


def reference(value: Any) -> Callable[[], Any]:
    """Return a weak reference, or a strong one to what cannot be referred to weakly."""
    try:
        found = weakref.ref(value)
    except TypeError:
        return lambda: value
    return lambda: GONE if (alive := found()) is None else alive


def _variable(function: Callable[[], Any], name: str, value: Any, depth: int) -> Callable[[], Any]:
    if _is_plain(value):
        return lambda: value  # small, and may be compared when the function is gone
    if type(value) is FunctionType and depth < MOST_DEPTH:
        described = Closure(value, depth + 1)
        return lambda: described
    try:
        weakref.ref(value)
    except TypeError:
        # A list or a dict: kept here it would outlive the function, so it is read from the function
        # whenever it is compared.
        return lambda: dict(_made_of(function(), with_defaults=True)).get(name, GONE)
    return reference(value)


def _is_plain(value: Any) -> bool:
    return type(value) in PLAIN or (type(value) is tuple and all(map(_is_plain, value)))


def _made_of(function: Any, *, with_defaults: bool) -> Iterator[tuple[str, Any]]:
    """Yield the code of a function, its defaults, and the variables that have a value by now."""
    code = getattr(function, "__code__", None)
    yield "{}", code
    if with_defaults:
        for at, value in enumerate(getattr(function, "__defaults__", None) or ()):
            yield f"({at})", value
        for name, value in (getattr(function, "__kwdefaults__", None) or {}).items():
            yield f"{name}=", value
    cells = getattr(function, "__closure__", None) or ()
    for name, cell in zip(getattr(code, "co_freevars", ()), cells, strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue


def _is_same(one: Any, other: Any) -> bool:
    # `==` is asked of plain values alone: an object's own may be slow, or raise; 1 equals True.
    if one is GONE or type(one) is not type(other):
        return False
    if one is other:
        return True
    if isinstance(one, Closure):
        return one.is_same(other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return type(one) in PLAIN and bool(one == other)
