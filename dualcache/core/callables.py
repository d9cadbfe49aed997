"""Options that are functions: what they take of a call, looked at before they are ever called.

A callable of (result, *arguments) may take fewer: none, the result alone, or the arguments that its
parameters are named after.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from inspect import Parameter
from types import CodeType, CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["Taking", "adapted", "checked_loader", "not_callable", "refuse_async", "taking_of"]

_IN_ORDER: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_MOST_KNOWN: Final = 512
_RUNS_LATER: Final = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_UNUSUAL: Final = _RUNS_LATER | inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


class Taking(NamedTuple):
    """The arguments of a callable: the result or not, and arguments by their place in the call."""

    takes_result: bool
    positions: tuple[int, ...]
    keywords: tuple[tuple[str, int], ...] = ()


class _Shape(NamedTuple):
    """The parameters of a callable: their names, and whether each can do without a value.

    One that takes its value in order alone has no name.
    """

    in_order: tuple[tuple[str, bool], ...]
    by_name: tuple[tuple[str, bool], ...]
    takes_rest: bool
    takes_names: bool


def adapted(
    function: Callable[..., Any],
    parameters: Collection[str],
    *,
    option: str,
    owner: str,
    may_be_async: bool = False,
) -> Callable[..., Any]:
    """Return a callable of (result, *arguments) that gives the user's one what it takes.

    `UsageError` for one that cannot be called so, or that has to be awaited and may not.
    """
    if not callable(function):
        raise not_callable(option, owner)
    answer = _awaitable if may_be_async else _no_coroutine
    if not parameters and not may_be_async and _takes_one(function):
        # What a direct call is mostly given, on a hit too.
        return lambda result: _no_coroutine(function(result), option, owner)
    taking = taking_of(
        function, parameters, option=option, owner=owner, first="result", may_be_async=may_be_async
    )

    def call(result: Any, *values: Any) -> Any:
        given = values if taking is None else [values[at] for at in taking.positions]
        named = {} if taking is None else {name: values[at] for name, at in taking.keywords}
        if taking is None or taking.takes_result:
            return answer(function(result, *given, **named), option, owner)
        return answer(function(*given, **named), option, owner)

    return call


def taking_of(
    function: Callable[..., Any],
    parameters: Collection[str],
    *,
    option: str,
    owner: str,
    first: str = "",
    may_be_async: bool = False,
) -> Taking | None:
    """Decide what a callable is given of a call's values; `None`: everything, in order.

    `first` says what comes before them, if anything does: the result, an event. `UsageError` for
    one that wants more than there is, or that has to be awaited and may not.
    """
    if not may_be_async:
        refuse_async(function, option=option, owner=owner)
    has_result = bool(first)
    shape = _shape_of(function)
    if shape is None:  # written in C: `bool`, `operator.itemgetter("ttl")`
        return Taking(True, ()) if has_result else None
    names = list(parameters)
    takes_result = has_result and bool(shape.in_order or shape.takes_rest)
    wanted = shape.in_order[1:] if has_result else shape.in_order
    needed = [name for name, can_do_without in wanted if not can_do_without]
    missing = {name for name, can_do_without in shape.by_name if not can_do_without}
    if len(needed) > len(names) or missing - {*names}:
        raise _cannot_be_called(option, owner, [first, *names] if first else names)
    is_named = {*needed} <= {*names}
    by_name = [name for name, _ in shape.by_name if name in names]
    if shape.takes_rest:
        positions = tuple(range(len(names)))
        if not by_name or not has_result:
            return None
    else:
        positions = () if is_named else tuple(range(len(needed)))
        by_name += [name for name, _ in wanted if is_named and name in names]
        if shape.takes_names:
            by_name += [name for name in names[len(positions) :] if name not in by_name]
    return Taking(takes_result, positions, tuple((name, names.index(name)) for name in by_name))


def refuse_async(function: object, *, option: str, owner: str) -> None:
    """Raise `UsageError` for a callable whose answer would have to be awaited or iterated."""
    # Direct calls come here each time, mostly with a lambda: its flags tell.
    if type(function) is FunctionType and not function.__dict__:
        if function.__code__.co_flags & _RUNS_LATER:
            raise _has_to_be_awaited(option, owner)
        return
    for each in (function, type(function).__call__ if callable(function) else None):
        is_async = inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        if is_async or inspect.isgeneratorfunction(each):
            raise _has_to_be_awaited(option, owner)


def not_callable(option: str, owner: str) -> UsageError:
    """Return the error for an option that has to be a function of a call."""
    return UsageError(
        f"{option} of {owner} is not callable",
        code="DC154",
        help="give a function of the result and the call's arguments",
    )


def checked_loader(loader: Any, owner: str) -> Any:
    """Return the loader of a direct call; `UsageError` for what is no function."""
    if callable(loader):
        return loader
    is_called = type(loader) is CoroutineType
    if is_called:
        loader.close()
    raise UsageError(
        f"the loader of {owner} is of type {type(loader).__name__}, not a function",
        code="DC131",
        help="give the function, or lambda: …, without calling it"
        if is_called
        else "give a function that returns the value when it is missing; set() stores a value",
    )


def _awaitable(answer: Any, _: str, __: str) -> Any:
    return answer


def _no_coroutine(answer: Any, option: str, owner: str) -> Any:
    if type(answer) is CoroutineType:
        answer.close()
        raise _has_to_be_awaited(option, owner)
    return answer


def _has_to_be_awaited(option: str, owner: str) -> UsageError:
    return UsageError(
        f"{option} of {owner} is async, or a generator",
        code="DC129",
        details=[("why", "it is called between load and store, and its answer is never awaited")],
        help="give a plain function; await what it needs in the cached function, and return it",
    )


def _cannot_be_called(option: str, owner: str, values: list[str]) -> UsageError:
    return UsageError(
        f"{option} of {owner} takes more values than there are",
        code="DC130",
        details=[("given", f"({', '.join(values)})")],
        help="take fewer, or name its parameters after those of the function",
    )


def _takes_one(function: Callable[..., Any]) -> bool:
    """Tell of a plain function whether it takes just one value in order."""
    if type(function) is not FunctionType or function.__dict__:
        return False
    code = function.__code__
    return code.co_argcount == 1 and not (code.co_kwonlyargcount or code.co_flags & _UNUSUAL)


def _shape_of(function: Callable[..., Any]) -> _Shape | None:
    if type(function) is FunctionType:
        # By its code: a lambda that is written in a call is a new function each time.
        optional = frozenset(function.__kwdefaults__ or ())
        return _shape_of_code(function.__code__, len(function.__defaults__ or ()), optional)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    kinds = {parameter.kind for parameter in parameters}
    found = [(p.name, p.kind, p.default is not Parameter.empty) for p in parameters]
    return _Shape(
        tuple(
            ("" if kind is Parameter.POSITIONAL_ONLY else name, can_do_without)
            for name, kind, can_do_without in found
            if kind in _IN_ORDER
        ),
        tuple((name, can_do) for name, kind, can_do in found if kind is Parameter.KEYWORD_ONLY),
        Parameter.VAR_POSITIONAL in kinds,
        Parameter.VAR_KEYWORD in kinds,
    )


@lru_cache(_MOST_KNOWN)
def _shape_of_code(code: CodeType, defaults: int, optional: frozenset[str]) -> _Shape:
    count = code.co_argcount
    by_name = code.co_varnames[count : count + code.co_kwonlyargcount]
    return _Shape(
        tuple(
            ("" if at < code.co_posonlyargcount else code.co_varnames[at], at >= count - defaults)
            for at in range(count)
        ),
        tuple((name, name in optional) for name in by_name),
        bool(code.co_flags & inspect.CO_VARARGS),
        bool(code.co_flags & inspect.CO_VARKEYWORDS),
    )
