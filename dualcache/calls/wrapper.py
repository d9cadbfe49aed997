"""Compile a real function with the exact signature of the decorated one.

`inspect`, debuggers, type checkers and pickle see an ordinary function; a call costs no `*args`.
"""

from __future__ import annotations

import functools
import linecache
from inspect import Parameter, Signature
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.calls.signature import CallSignature


class Kept(Struct, frozen=True):
    """What a wrapper needs to serve front-tier hits on its own.

    `index` maps the values at `positions` to entries. Where `types` names one, only values of just
    that type are looked up; of other values the type is part of the index, since `1`, `True` and
    `1.0` are equal. `clock` holds what tells the time; whoever owns it may change that. An entry is
    served while its `fresh_until` lies ahead. `is_tagged`: entries may have tags.
    """

    index: dict[Any, Any]
    clock: CellType
    positions: tuple[int, ...]
    types: tuple[type | None, ...]
    is_tagged: bool


class Absent:
    """What a lookup finds where nothing is kept: an entry that has ended."""

    fresh_until = float("-inf")


ABSENT: Final = Absent()


def compile_wrapper(
    call: CallSignature, perform: Callable[..., Any], kept: Kept | None = None
) -> Callable[..., Any]:
    """Return a function like the decorated one that hands its values, in order, to `perform`.

    `perform` takes one tuple; for a coroutine function it is one itself. Where values are `kept` in
    process, a hit ends in the function itself: no lock, no flow, no text of a key.
    """
    known: dict[str, Any] = {"_perform": perform}
    heading = written_signature(call, known)
    values = "".join(f"{name}, " for name in call.parameters)
    keyword, wait = ("async def", "await ") if call.is_coroutine else ("def", "")
    lines = [] if kept is None else hit_lines(call, kept, known)
    body = "\n    ".join([*lines, f"return {wait}_perform(({values}))"])
    made = executed(f"{keyword} wrapper{heading}:\n    {body}\n", call, known)
    if kept is not None:
        made = sharing(made, "_now", kept.clock)
    functools.update_wrapper(made, call.function)
    return made


def hit_lines(call: CallSignature, kept: Kept, known: dict[str, Any]) -> list[str]:
    """Write the lines that serve a hit.

    The exception of a lookup ends before the function runs, so that it never shows in its
    tracebacks; a `TypeError` says that a value cannot be hashed. What is not there is found as an
    entry that has ended.
    """
    known.update(_index=kept.index, _absent=ABSENT, _now=None)
    names = [call.parameters[at] for at in kept.positions]
    key, checks = list(names), ["_entry.fresh_until > _now()"]
    for name, kind in zip(names, kept.types, strict=True):
        if kind is None:
            key.append(f"type({name})")
        else:
            known[f"_{kind.__name__}"] = kind
            checks.append(f"type({name}) is _{kind.__name__}")
    serving = [
        "_entry.hits += 1.0",
        "if _entry.thaw is None:",
        "    return _entry.value",
        "return _entry.thaw(_entry.value)",
    ]
    if kept.is_tagged:
        serving = [
            "for _cell in _entry.cells:",
            "    if not _cell.is_alive:",
            "        break",
            "else:",
            *(f"    {line}" for line in serving),
        ]
    return [
        "try:",
        f"    _entry = _index[{', '.join(key) or '()'}]",
        "except (KeyError, TypeError):",
        "    _entry = _absent",
        f"if {' and '.join(checks)}:",
        *(f"    {line}" for line in serving),
    ]


def compile_loader(call: CallSignature) -> Callable[..., Any]:
    """Return what runs the decorated function for values in signature order."""
    kinds = {parameter.kind for parameter in call.signature.parameters.values()}
    if kinds <= {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}:
        return call.function
    written = []
    for name, parameter in call.signature.parameters.items():
        if parameter.kind is Parameter.VAR_POSITIONAL:
            written.append(f"*{name}")
        elif parameter.kind is Parameter.VAR_KEYWORD:
            written.append(f"**{name}")
        elif parameter.kind is Parameter.KEYWORD_ONLY:
            written.append(f"{name}={name}")
        else:
            written.append(name)
    source = (
        f"def wrapper({', '.join(call.parameters)}):\n    return _function({', '.join(written)})\n"
    )
    return executed(source, call, {"_function": call.function})


def written_signature(call: CallSignature, namespace: dict[str, Any]) -> str:
    """Write the signature without annotations; defaults become names in `namespace`."""
    written = []
    for number, parameter in enumerate(call.signature.parameters.values()):
        bare = parameter.replace(annotation=Parameter.empty)
        if parameter.default is not Parameter.empty:
            name = f"_default{number}"
            namespace[name] = parameter.default
            bare = bare.replace(default=Name(name))
        written.append(bare)
    return str(Signature(written))


class Name:
    """A default that is written as the name that holds it."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def executed(source: str, call: CallSignature, known: dict[str, Any]) -> FunctionType:
    """Compile the source of one function over the globals of the original.

    So that annotations written as text resolve as before. What it knows besides are the variables
    of an enclosing function; tracebacks and debuggers find its source in `linecache`.
    """
    body = "".join(f"    {line}\n" for line in source.splitlines())
    whole = f"def enclosing({', '.join(known)}):\n{body}    return wrapper\n"
    filename = f"<dualcache {call.module}.{call.qualname}>"
    made: dict[str, Any] = {}
    names = getattr(call.function, "__globals__", {})
    exec(compile(whole, filename, "exec"), names, made)  # noqa: S102  names from a signature
    linecache.cache[filename] = (len(whole), None, whole.splitlines(keepends=True), filename)
    wrapper: FunctionType = made["enclosing"](**known)
    return wrapper


def sharing(function: FunctionType, name: str, shared: CellType) -> FunctionType:
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
