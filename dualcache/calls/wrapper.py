"""Compile a real function with the exact signature of the decorated one.

`inspect`, debuggers, type checkers and pickle see an ordinary function; a call costs no `*args`.
"""

from __future__ import annotations

import functools
import linecache
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.calls.signature import CallSignature


def compile_wrapper(call: CallSignature, perform: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function like the decorated one that hands its values, in order, to `perform`.

    `perform` takes one tuple; for a coroutine function it is one itself.
    """
    known: dict[str, Any] = {"_perform": perform}
    heading = written_signature(call, known)
    values = "".join(f"{name}, " for name in call.parameters)
    keyword, wait = ("async def", "await ") if call.is_coroutine else ("def", "")
    source = f"{keyword} wrapper{heading}:\n    return {wait}_perform(({values}))\n"
    made = executed(source, call, known)
    functools.update_wrapper(made, call.function)
    return made


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


def executed(source: str, call: CallSignature, known: dict[str, Any]) -> Callable[..., Any]:
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
    wrapper: Callable[..., Any] = made["enclosing"](**known)
    return wrapper
