"""The signature of a decorated function: its parameters, annotations, colour and place.

Annotations are resolved one by one and late: what cannot be resolved counts as absent, and is tried
again whenever it is asked for.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from enum import Enum
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dualcache.errors import UsageError
from dualcache.keys.identity import identity_of
from dualcache.keys.open_calls import OpenCalls, called_signature
from dualcache.keys.written import compile_binder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

__all__ = ["ABSENT", "MARKS", "Absent", "FunctionSignature"]


class Absent(Enum):
    """Stands for an annotation that is not there, so that `None` can be one."""

    ABSENT = "absent"


MARKS: Final[dict[Any, str]] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
"""How a parameter of these kinds is written, in its signature and in a call."""

ABSENT: Final = Absent.ABSENT
_Absent: TypeAlias = Literal[Absent.ABSENT]


class FunctionSignature:
    """One function's signature, as the rest of the library asks about it."""

    __slots__ = (
        "_binder",
        "_resolved",
        "_waiting",
        "by_name",
        "first_is_receiver",
        "function",
        "identity",
        "is_coroutine",
        "is_in_class",
        "module",
        "name",
        "open_calls",
        "parameters",
        "qualname",
    )

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.identity = identity_of(function)
        self.module = self.identity.module
        self.qualname = self.identity.qualname
        self.name = f"{self.qualname.rpartition('<locals>.')[2]}()"
        called, is_open = called_signature(function, _signature(function))
        self.by_name: Mapping[str, Parameter] = called.parameters
        self.parameters = tuple(called.parameters)
        self.is_coroutine = _is_coroutine(function)
        parent = self.qualname.rpartition(".")[0]
        self.is_in_class = bool(parent) and not parent.endswith("<locals>")
        self.first_is_receiver = self.is_in_class and self.parameters[:1] in (("self",), ("cls",))
        self._waiting = _annotations(called)
        self._resolved: dict[str, Any] = {}
        self._binder: Callable[..., tuple[Any, ...]] | None = None
        self.open_calls = OpenCalls(self, ()) if is_open else None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> FunctionSignature:
        """Look at a function; `UsageError` for what cannot be cached, as generator functions."""
        _refuse_uncacheable(function)
        return cls(function)

    def __str__(self) -> str:
        """Show the call with its parameters' names, for messages: `get_user(user_id, lang)`."""
        shown = (f"{MARKS.get(p.kind, '')}{p.name}" for p in self.by_name.values())
        return f"{self.name[:-2]}({', '.join(shown)})"

    def hints(self) -> dict[str, Any]:
        """Return the annotations of parameters that can be resolved by now, `Annotated` kept."""
        self._resolve()
        return {name: hint for name, hint in self._resolved.items() if name != "return"}

    def return_annotation(self) -> Any | _Absent:
        """Return the resolved return annotation, or `ABSENT`."""
        self._resolve()
        return self._resolved.get("return", ABSENT)

    def unresolved(self) -> frozenset[str]:
        """Name the parameters whose annotation cannot be resolved yet."""
        self._resolve()
        return frozenset(self._waiting) - {"return"}

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values in signature order, defaults filled in.

        `*args` is one tuple and `**kwargs` one dict. A call that does not fit raises the
        `TypeError` that the function itself would raise.
        """
        if self.open_calls is not None:
            return self.open_calls.bind(args, kwargs)
        if self._binder is None:
            self._binder = compile_binder(self.by_name.values(), self.qualname)
        return self._binder(*args, **kwargs)

    def name_in_templates(self, names: Collection[str]) -> None:
        """Say which parameters templates name, for calls under a decorator of others."""
        if self.open_calls is not None:
            self.open_calls = OpenCalls(self, names)

    def call_form(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Turn values in signature order back into positional and keyword arguments."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter, value in zip(self.by_name.values(), values, strict=True):
            if parameter.kind is Parameter.VAR_POSITIONAL:
                args.extend(value)
            elif parameter.kind is Parameter.VAR_KEYWORD:
                kwargs.update(value)
            elif parameter.kind is Parameter.KEYWORD_ONLY:
                kwargs[parameter.name] = value
            else:
                args.append(value)
        return tuple(args), kwargs

    def _resolve(self) -> None:
        if not self._waiting:
            return
        innermost = inspect.unwrap(self.identity.function)
        names = _visible_names(innermost, self.qualname)
        for name, annotation in list(self._waiting.items()):
            resolved = _resolved(annotation, names)
            if resolved is not ABSENT:
                self._resolved[name] = resolved
                self._waiting.pop(name, None)


def _qualname(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__qualname__


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    options: dict[str, Any] = {}
    if sys.version_info >= (3, 14):  # annotations are evaluated when asked for: leave what fails
        from annotationlib import Format

        options["annotation_format"] = Format.FORWARDREF
    try:
        return inspect.signature(function, **options)
    except ValueError:  # made in C, and it does not tell: `max`, `int`
        return inspect.signature(_anything)


def _anything(*args: Any, **kwargs: Any) -> Any:
    """Stand for a function that does not tell its signature."""


def _is_coroutine(function: Callable[..., Any]) -> bool:
    if inspect.iscoroutinefunction(function):
        return True
    # Before Python 3.12 a plain function is marked by asyncio itself, if it was imported at all.
    marks = sys.modules.get("asyncio.coroutines")
    mark = getattr(function, "_is_coroutine", None)
    if mark is not None and mark is getattr(marks, "_is_coroutine", None):
        return True
    return inspect.iscoroutinefunction(_called(function))


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function whose body a call runs: for a callable object its class's `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, (types.FunctionType, types.MethodType, type)):
        return function
    return type(function).__call__


def _refuse_uncacheable(function: Any) -> None:
    if isinstance(function, classmethod) or not callable(function):
        raise UsageError(
            f"a {type(function).__name__} cannot be cached",
            code="DC116",
            help="write @property above the cache's decorator, not below it",
        )
    called = _called(function)
    is_async = inspect.isasyncgenfunction(called)
    if is_async or inspect.isgeneratorfunction(called):
        raise UsageError(
            f"{_qualname(function)}() is {'an async generator' if is_async else 'a generator'}"
            " function, which cannot be cached",
            code="DC115",
            details=[("at", f"{function.__module__}.{_qualname(function)}")],
            help="return a list: the items of a generator can be read only once",
        )


def _annotations(signature: inspect.Signature) -> dict[str, Any]:
    found = {name: p.annotation for name, p in signature.parameters.items()}
    found["return"] = signature.return_annotation
    return {name: hint for name, hint in found.items() if hint is not Parameter.empty}


def _visible_names(
    function: Callable[..., Any], qualname: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the globals, and the names of the enclosing functions and classes."""
    function = getattr(function, "__func__", function)
    module_names = getattr(function, "__globals__", None)
    if module_names is None:
        module = sys.modules.get(getattr(function, "__module__", ""))
        module_names = vars(module) if module is not None else {}
    enclosing: dict[str, Any] = {}
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    for name, cell in zip(getattr(code, "co_freevars", ()), cells, strict=False):
        try:
            enclosing[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    owner: Any = None
    for step in qualname.split(".")[:-1]:
        owner = module_names.get(step) if owner is None else getattr(owner, step, None)
        if not isinstance(owner, type):
            break
        enclosing.update(vars(owner))
    enclosing.update({p.__name__: p for p in getattr(function, "__type_params__", ())})
    return module_names, enclosing


def _resolved(annotation: Any, names: tuple[dict[str, Any], dict[str, Any]]) -> Any | _Absent:
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    try:
        return typing.get_type_hints(holder, names[0], names[1], include_extras=True)["value"]
    except Exception:  # noqa: BLE001  an annotation is any expression, and may raise anything
        return ABSENT
