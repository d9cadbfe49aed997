"""Whose key it is: the function inside a partial, a bound method or a callable object.

Here are its name, and the values that such a callable brings along besides a call's arguments.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.keys.main_module import MAIN_MODULES, imported_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Bound",
    "Identity",
    "globals_of",
    "home_module",
    "identity_of",
    "is_interactive",
    "written_function",
]

_IMMUTABLE = (str, bytes, int, float, complex, bool, types.NoneType)


class Bound(NamedTuple):
    """A value that every call of a callable has, without being an argument of it."""

    name: str
    value: Any
    is_receiver: bool
    """Whether it is the object of a method, which is in the key only where it is its value."""
    is_extra: bool = False
    """Whether it goes into `**kwargs`, so that its name tells what it is."""


class Identity(NamedTuple):
    """A callable: its innermost function, the name of that, and the values bound to it."""

    function: Any
    module: str
    qualname: str
    bound: tuple[Bound, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether all bound values are immutable: an object may change between two calls."""
        return all(type(one.value) in _IMMUTABLE for one in self.bound)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of bound values in templates and `ignore=`."""
        return tuple(one.name for one in self.bound)

    def value_of(self, name: str) -> Any:
        """Return the value that is bound under a name."""
        return next(one.value for one in self.bound if one.name == name)

    @property
    def owner(self) -> type | None:
        """The class whose method it is, where an object or a class is bound."""
        for one in self.bound:
            if one.is_receiver:
                return one.value if isinstance(one.value, type) else type(one.value)
        return None


def identity_of(function: Any) -> Identity:
    """Look through partials and bound methods at the function that is called in the end."""
    bound: list[Bound] = []
    while True:
        if isinstance(function, functools.partial):
            bound = [*_bound_by_partial(function), *bound]
            function = function.func
        elif (receiver := _receiver(function)) is not None:
            method, function = function, getattr(function, "__func__", None)
            bound = [Bound(_first_parameter(function), receiver, is_receiver=True), *bound]
            if function is None:  # a method written in C
                return Identity(type(method), *_name_of(method), tuple(bound))
        elif _is_callable_object(function):
            kind: type[Any] = type(function)
            bound = [Bound("self", function, is_receiver=True), *bound]
            called = getattr(kind, "__call__")  # noqa: B004, B009  the method, not a test for one
            return Identity(called, kind.__module__, kind.__qualname__, tuple(bound))
        else:
            return Identity(function, *_name_of(function), tuple(bound))


def home_module(function: Any, module: str) -> str | None:
    """Return the name of a function's module in other processes; `None`: it has no file."""
    if module not in MAIN_MODULES:
        return module
    return None if is_interactive(function) else imported_name(globals_of(function))


def is_interactive(function: Any) -> bool:
    """Tell whether a function was typed in: in a REPL, a notebook, `python -c`, or after `-i`."""
    names = globals_of(function)
    if names.get("__name__") not in MAIN_MODULES:
        return False
    code = getattr(written_function(function), "__code__", None)
    return "__file__" not in names or getattr(code, "co_filename", "").startswith("<")


def written_function(function: Any) -> Any:
    """Return the user's function, beneath decorators with code of another module."""
    return inspect.unwrap(function)


def globals_of(function: Any) -> Mapping[str, Any]:
    """Return the names of the module that a function was written in; none where nothing tells."""
    found: Mapping[str, Any] | None = getattr(written_function(function), "__globals__", None)
    if found is None:
        found = vars(sys.modules.get(getattr(function, "__module__", None) or "", object))
    return found


def _receiver(function: Any) -> Any:
    """Return the object that a method is bound to; `None` for what is no bound method."""
    if isinstance(function, types.MethodType) or hasattr(function, "__func__"):
        return getattr(function, "__self__", None)
    if isinstance(function, types.BuiltinMethodType | types.MethodWrapperType):
        receiver = function.__self__
        return None if isinstance(receiver, types.ModuleType) else receiver
    return None


def _is_callable_object(function: Any) -> bool:
    """Tell whether an object is called by the `__call__` of its class, and passes for no function.

    Those that do, as `functools.lru_cache` makes them, have a name of their own.
    """
    if isinstance(function, type) or hasattr(function, "__wrapped__"):
        return False
    return not isinstance(getattr(function, "__name__", None), str)


def _bound_by_partial(partial: functools.partial[Any]) -> Iterator[Bound]:
    inner = _parameters_of(partial.func)
    places = [
        parameter.name
        for parameter in inner.values()
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    placeholder = getattr(functools, "Placeholder", None)  # since Python 3.14
    for number, value in enumerate(partial.args):
        if placeholder is None or value is not placeholder:
            yield Bound(places[number] if number < len(places) else "args", value, False)
    # What is bound by keyword is a default of a parameter, unless it goes into **kwargs.
    for name in sorted(partial.keywords.keys() - _parameters_of(partial).keys()):
        yield Bound(name, partial.keywords[name], is_receiver=False, is_extra=True)


def _parameters_of(function: Any) -> Mapping[str, Parameter]:
    try:
        return signature(function).parameters
    except ValueError:  # made in C, and it does not tell, as `int`
        return {}


def _first_parameter(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return code.co_varnames[0] if code is not None and code.co_argcount else "self"


def _name_of(function: Any) -> tuple[str, str]:
    module = getattr(function, "__module__", None)
    if not isinstance(module, str):  # a method made in C: that of its class
        owner = getattr(function, "__objclass__", getattr(function, "__self__", None))
        kind = owner if isinstance(owner, type) else type(owner)
        module = "?" if owner is None else kind.__module__
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if not isinstance(name, str):
        name = type(function).__qualname__
    return module, name
