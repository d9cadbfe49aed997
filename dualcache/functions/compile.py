"""Compile a real function with the exact signature of the decorated one.

`inspect`, debuggers, type checkers and pickle see an ordinary function; a call costs no `*args`.
"""

from __future__ import annotations

import functools
from inspect import Parameter
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from dualcache.core.pending import PendingLoad
from dualcache.keys.open_calls import PLAIN
from dualcache.keys.written import Names, compiled, written_signature, written_tuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.keys.signature import FunctionSignature

__all__ = ["FrontIndex", "NoEntry", "compile_loader", "compile_wrapper"]


class FrontIndex(Struct, frozen=True):
    """The parts by which a wrapper serves front-tier hits on its own.

    `index` maps the values at `positions` to entries. Where `types` names one, only values of just
    that type are looked up; of other values the type is part of the index, since `1`, `True` and
    `1.0` are equal. `clock` holds the function that gives the time; its owner may change that. An
    entry is served before its `fresh_until`. `is_tagged`: entries may have tags.
    """

    index: dict[Any, Any]
    clock: CellType
    positions: tuple[int, ...]
    types: tuple[type | None, ...]
    is_tagged: bool


class NoEntry:
    """Stands for a missing entry: it has ended, so a hit needs one comparison."""

    fresh_until = float("-inf")


NO_ENTRY: Final = NoEntry()


class _SlowHalf(NamedTuple):
    """The parts that only a call without a front hit needs.

    All of it is one variable of the wrapper: Python copies each on every call, hits too.
    """

    perform: Callable[..., Any]
    function: Callable[..., Any]
    pending: type[PendingLoad] = PendingLoad
    raised: type[BaseException] = BaseException
    not_found: tuple[type[Exception], ...] = (KeyError, TypeError)
    no_entry: NoEntry = NO_ENTRY


def compile_wrapper(
    signature: FunctionSignature,
    perform: Callable[..., Any],
    kept: FrontIndex | None = None,
    *,
    stops_at_load: bool = False,
) -> Callable[..., Any]:
    """Return a function like the decorated one that hands its values, in order, to `perform`.

    `perform` takes one tuple; for a coroutine function it is one itself. Where values are `kept` in
    process, a hit ends in the function itself: no lock, no flow, no text of a key. With
    `stops_at_load` it also takes a `PendingLoad`; where that holds something, the function is run.
    """
    names = Names(signature.parameters)
    keyword, wait = ("async def", "await ") if signature.is_coroutine else ("def", "")
    values = written_tuple(signature.parameters)
    heading = written_signature(signature.by_name.values(), names)
    slow = names.of("slow", _SlowHalf(perform, signature.function))
    lines = [] if kept is None else _hit_lines(signature, kept, slow, names)
    run = f"return {wait}{slow}.perform"
    if stops_at_load:
        lines = [*lines, *_loading_lines(signature, values, slow, names)]
    elif signature.open_calls is None:
        lines = [*lines, f"{run}({values})"]
    else:
        heading = f"(*{names.local('args')}, **{names.local('kwargs')})"
        lines = _open_lines(signature, values, lines, run, names)
    body = "\n    ".join(lines)
    made = _executed(f"{keyword} wrapper{heading}:\n    {body}\n", signature, names)
    if kept is not None:
        made = _sharing(made, names.local("now"), kept.clock)
    functools.update_wrapper(made, signature.function)
    return made


def _loading_lines(signature: FunctionSignature, values: str, slow: str, names: Names) -> list[str]:
    """Write the lines that ask for a value, and run the function where it has to be loaded."""
    pending, error = names.local("pending"), names.local("error")
    # `pending` is filled by the driver, not returned by it: an interrupt between a return and the
    # assignment would lose what it holds, and the lease would stay until it expires.
    return [
        f"{pending} = {slow}.pending()",
        "try:",
        f"    {names.local('found')} = {slow}.perform({values}, {pending})",
        f"    if not {pending}:",
        f"        return {names.local('found')}",
        f"    {pending}.begin()",
        "    try:",
        f"        {pending}.result = {slow}.function({_written_call(signature)})",
        f"    except {slow}.raised as {error}:",
        f"        {pending}.error = {error}",
        f"    return {pending}.finish()",
        "finally:",
        f"    if {pending}:",
        f"        {pending}.close()",
    ]


def _open_lines(
    signature: FunctionSignature, values: str, hit: Sequence[str], run: str, names: Names
) -> list[str]:
    """Write the body of a function that can be called in more ways than its signature shows."""
    calls = signature.open_calls
    assert calls is not None
    args, kwargs, fits = names.local("args"), names.local("kwargs"), names.local("fits")
    type_of, plain = names.of("type", type), names.of("plain", PLAIN)
    uncertain = [f"{type_of}({signature.parameters[at]}) in {plain}" for at in calls.suspects]
    return [
        f"{fits} = {names.of('true', value=True)}",
        "try:",
        f"    {values} = {names.of('strict', calls.strict)}(*{args}, **{kwargs})",
        f"except {names.of('misfit', TypeError)}:",
        f"    {fits} = {names.of('false', value=False)}",
        f"if {' or '.join([f'not {fits}', *uncertain])}:",
        f"    {run}({names.of('bind', calls.bind)}({args}, {kwargs}))",
        *hit,
        f"{run}({names.of('given', calls.given)}({values}, {args}, {kwargs}))",
    ]


def _hit_lines(
    signature: FunctionSignature, kept: FrontIndex, slow: str, names: Names
) -> list[str]:
    """Write the lines that serve a hit.

    A missing entry is represented by an expired one, so a hit needs one comparison. The `except` of
    the lookup ends before the function runs: a `KeyError` that is still being handled would be the
    `__context__` of whatever the function raises. A `TypeError` says that a value cannot be hashed.
    """
    type_of, entry, cell = names.of("type", type), names.local("entry"), names.local("cell")
    values = [signature.parameters[at] for at in kept.positions]
    key, checks = list(values), [f"{entry}.fresh_until > {names.of('now', None)}()"]
    for value, kind in zip(values, kept.types, strict=True):
        if kind is None:
            key.append(f"{type_of}({value})")
        else:
            checks.append(f"{type_of}({value}) is {names.of(kind.__name__, kind)}")
    # No lock: a hit that another thread's write swallows is lost to the counter alone.
    # A float, since adding to it is quicker than to an int that has grown beyond the small ones.
    serving = [
        f"{entry}.hits += 1.0",
        f"if {entry}.copy_out is None:",
        f"    return {entry}.value",
        f"return {entry}.copy_out({entry}.value)",
    ]
    if kept.is_tagged:
        # A revoked tag kills its cell at once, and the entries that carry it are unlinked after
        # that: between the two an entry is found whose tag is dead.
        serving = [
            f"for {cell} in {entry}.cells:",
            f"    if not {cell}.is_alive:",
            "        break",
            "else:",
            *(f"    {line}" for line in serving),
        ]
    return [
        "try:",
        f"    {entry} = {names.of('index', kept.index)}[{', '.join(key) or '()'}]",
        f"except {slow}.not_found:",
        f"    {entry} = {slow}.no_entry",
        f"if {' and '.join(checks)}:",
        *(f"    {line}" for line in serving),
    ]


def compile_loader(signature: FunctionSignature) -> Callable[..., Any]:
    """Return the loader: it calls the decorated function with values in signature order."""
    kinds = {parameter.kind for parameter in signature.by_name.values()}
    if kinds <= {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}:
        return signature.function
    names = Names(signature.parameters)
    source = (
        f"def wrapper({', '.join(signature.parameters)}):\n"
        f"    return {names.of('function', signature.function)}({_written_call(signature)})\n"
    )
    return _executed(source, signature, names)


def _written_call(signature: FunctionSignature) -> str:
    """Write the arguments of a call that hands on the values of the parameters."""
    written = []
    for name, parameter in signature.by_name.items():
        if parameter.kind is Parameter.VAR_POSITIONAL:
            written.append(f"*{name}")
        elif parameter.kind is Parameter.VAR_KEYWORD:
            written.append(f"**{name}")
        elif parameter.kind is Parameter.KEYWORD_ONLY:
            written.append(f"{name}={name}")
        else:
            written.append(name)
    return ", ".join(written)


def _executed(source: str, signature: FunctionSignature, names: Names) -> FunctionType:
    """Compile the source of one function over the globals of the original.

    So that annotations written as text resolve as before; the code itself looks nothing up there.
    """
    filename = f"<dualcache {signature.module}.{signature.qualname}>"
    module_names = getattr(signature.function, "__globals__", {})
    made: FunctionType = compiled(source, names, filename, module_names)
    return made


def _sharing(function: FunctionType, name: str, shared: CellType) -> FunctionType:
    """Return the function with its variable `name` being a cell that others share."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = [shared if each == name else cell for each, cell in cells]
    made = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(closure),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made
