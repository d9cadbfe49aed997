"""Source of functions that are compiled for one signature: parameters, and names of our own."""

from __future__ import annotations

import linecache
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "Names",
    "Verbatim",
    "compile_binder",
    "compiled",
    "execute",
    "written_signature",
    "written_tuple",
]


class Names:
    """Names for what compiled code needs besides the parameters; no parameter can meet one.

    The code finds them as variables of an enclosing function and never as globals: a module may
    define its own `type` or `KeyError`, and a function may have a parameter of any name.
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


class Verbatim:
    """A default whose repr is the name that holds it."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def written_signature(parameters: Iterable[Parameter], names: Names) -> str:
    """Write the signature without annotations; defaults are written as names that hold them."""
    written = []
    for number, parameter in enumerate(parameters):
        bare = parameter.replace(annotation=Parameter.empty)
        if parameter.default is not Parameter.empty:
            bare = bare.replace(default=Verbatim(names.of(f"default_{number}", parameter.default)))
        written.append(bare)
    return str(Signature(written))


def written_tuple(items: Iterable[str]) -> str:
    return f"({''.join(f'{item}, ' for item in items)})"


def execute(
    source: str,
    filename: str,
    module_names: dict[str, Any],
    names: dict[str, Any] | None = None,
) -> None:
    """Run source that was written here: it defines a function, in `names` or in `module_names`.

    The one place where text becomes code. What varies in it are names of parameters, which Python
    has checked to be names, and quoted literals; values come in as variables, never as text.
    Tracebacks, debuggers and `inspect.getsource` find the source in `linecache`.
    """
    exec(compile(source, filename, "exec"), module_names, names)  # noqa: S102  see above
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


def compiled(source: str, names: Names, filename: str, module_names: dict[str, Any]) -> Any:
    """Compile the source of one function called `wrapper`; `names` are variables around it."""
    body = "".join(f"    {line}\n" for line in source.splitlines())
    whole = f"def enclosing({', '.join(names.known)}):\n{body}    return wrapper\n"
    made: dict[str, Any] = {}
    execute(whole, filename, module_names, made)
    return made["enclosing"](**names.known)


def compile_binder(parameters: Iterable[Parameter], qualname: str) -> Callable[..., Any]:
    """Compile a function of these parameters that returns its values as a tuple.

    Python then words the `TypeError` of a call that does not fit, and binds 20 times faster than
    `Signature.bind`.
    """
    parameters = tuple(parameters)
    names = Names(each.name for each in parameters)
    heading = written_signature(parameters, names)
    values = written_tuple(each.name for each in parameters)
    source = f"def wrapper{heading}: return {values}"
    binder = compiled(source, names, f"<dualcache binder of {qualname}>", {})
    binder.__qualname__ = qualname
    return binder  # type: ignore[no-any-return]  # exec is untyped
