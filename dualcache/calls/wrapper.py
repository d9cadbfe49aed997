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
    from collections.abc import Callable, Iterable

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


class Names:
    """Names for what compiled code needs besides the parameters; no parameter can meet one.

    The code finds them as variables of an enclosing function and never as globals: a module may
    have a `type` or a `KeyError` of its own, and a function a parameter of any name.
    """

    def __init__(self, parameters: Iterable[str]) -> None:
        self.known: dict[str, Any] = {}
        self._prefix = "_"
        while any(name.startswith(self._prefix) for name in parameters):
            self._prefix += "_"

    def of(self, name: str, value: Any) -> str:
        """Return the name under which the code finds `value`."""
        written = self.local(name)
        self.known[written] = value
        return written

    def local(self, name: str) -> str:
        """Return a name for a variable of the code itself."""
        return f"{self._prefix}{name}"


def compile_wrapper(
    call: CallSignature, perform: Callable[..., Any], kept: Kept | None = None
) -> Callable[..., Any]:
    """Return a function like the decorated one that hands its values, in order, to `perform`.

    `perform` takes one tuple; for a coroutine function it is one itself. Where values are `kept` in
    process, a hit ends in the function itself: no lock, no flow, no text of a key.
    """
    names = Names(call.parameters)
    heading = written_signature(call, names)
    values = "".join(f"{name}, " for name in call.parameters)
    keyword, wait = ("async def", "await ") if call.is_coroutine else ("def", "")
    lines = [] if kept is None else hit_lines(call, kept, names)
    body = "\n    ".join([*lines, f"return {wait}{names.of('perform', perform)}(({values}))"])
    made = executed(f"{keyword} wrapper{heading}:\n    {body}\n", call, names)
    if kept is not None:
        made = sharing(made, names.local("now"), kept.clock)
    functools.update_wrapper(made, call.function)
    return made


def hit_lines(call: CallSignature, kept: Kept, names: Names) -> list[str]:
    """Write the lines that serve a hit.

    The exception of a lookup ends before the function runs, so that it never shows in its
    tracebacks; a `TypeError` says that a value cannot be hashed. What is not there is found as an
    entry that has ended.
    """
    type_of, entry, cell = names.of("type", type), names.local("entry"), names.local("cell")
    values = [call.parameters[at] for at in kept.positions]
    key, checks = list(values), [f"{entry}.fresh_until > {names.of('now', None)}()"]
    for value, kind in zip(values, kept.types, strict=True):
        if kind is None:
            key.append(f"{type_of}({value})")
        else:
            checks.append(f"{type_of}({value}) is {names.of(kind.__name__, kind)}")
    serving = [
        f"{entry}.hits += 1.0",
        f"if {entry}.thaw is None:",
        f"    return {entry}.value",
        f"return {entry}.thaw({entry}.value)",
    ]
    if kept.is_tagged:
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
        f"except {names.of('not_found', (KeyError, TypeError))}:",
        f"    {entry} = {names.of('absent', ABSENT)}",
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
    names = Names(call.parameters)
    source = (
        f"def wrapper({', '.join(call.parameters)}):\n"
        f"    return {names.of('function', call.function)}({', '.join(written)})\n"
    )
    return executed(source, call, names)


def written_signature(call: CallSignature, names: Names) -> str:
    """Write the signature without annotations; defaults are written as names that hold them."""
    written = []
    for number, parameter in enumerate(call.signature.parameters.values()):
        bare = parameter.replace(annotation=Parameter.empty)
        if parameter.default is not Parameter.empty:
            bare = bare.replace(default=Name(names.of(f"default_{number}", parameter.default)))
        written.append(bare)
    return str(Signature(written))


class Name:
    """A default that is written as the name that holds it."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def executed(source: str, call: CallSignature, names: Names) -> FunctionType:
    """Compile the source of one function over the globals of the original.

    So that annotations written as text resolve as before; the code itself looks nothing up there.
    Tracebacks and debuggers find its source in `linecache`.
    """
    body = "".join(f"    {line}\n" for line in source.splitlines())
    whole = f"def enclosing({', '.join(names.known)}):\n{body}    return wrapper\n"
    filename = f"<dualcache {call.module}.{call.qualname}>"
    made: dict[str, Any] = {}
    module_names = getattr(call.function, "__globals__", {})
    exec(compile(whole, filename, "exec"), module_names, made)  # noqa: S102  names from a signature
    linecache.cache[filename] = (len(whole), None, whole.splitlines(keepends=True), filename)
    wrapper: FunctionType = made["enclosing"](**names.known)
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
