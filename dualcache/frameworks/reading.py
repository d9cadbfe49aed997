"""The parts of a request that an endpoint's code reads, as far as its bytecode tells.

Only warnings, and whether the query counts in FastAPI, follow from it: code that cannot be seen
through is taken to read nothing.
"""

from __future__ import annotations

from dis import get_instructions
from inspect import getattr_static, unwrap
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from dualcache.frameworks.flask_context import loaded
from dualcache.frameworks.roles import is_named_request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from dis import Instruction

    from dualcache.keys.signature import FunctionSignature

__all__ = ["BODY", "IDENTITY", "QUERY", "parts_read", "unkeyed_line"]

QUERY: Final = frozenset(
    {"query_params", "path_params", "url", "args", "view_args", "values", "query_string"}
    | {"full_path", "path", "GET", "resolver_match", "query", "match_info"}
)
"""Parts of a request, in any framework, that query string and path values stand for."""
IDENTITY: Final = frozenset({"headers", "cookies", "authorization", "user", "session", "auth"})
"""Parts that tell who asks."""
BODY: Final = frozenset({"json", "body", "form", "stream", "data", "files", "POST", "get_json"})
"""Parts that a request has which writes."""
HARMLESS: Final = frozenset({"app", "method", "url_for", "base_url", "is_disconnected"})
"""Parts that are the same for all requests of one endpoint."""
LOADS: Final = ("LOAD_GLOBAL", "LOAD_DEREF", "LOAD_FAST", "STORE_FAST_LOAD_FAST")
MOST_CALLS: Final = 3
"""How far a request is followed that a body hands to functions which it calls."""


def parts_read(signature: FunctionSignature, requests: Collection[str]) -> frozenset[str]:
    """Name the parts that a body reads of these parameters, and of a request in a context."""
    return frozenset(set(_of_function(signature.function, requests, MOST_CALLS)) - HARMLESS)


def unkeyed_line(signature: FunctionSignature, part: str) -> str:
    """Write the warning about a function that reads something its key leaves out."""
    vary = f"vary=lambda{' ' if signature.parameters else ''}{', '.join(signature.parameters)}:"
    return (
        f"[DC411] {signature.name} reads {part} of its request, which is not part of its key, so "
        f"everybody gets the same answer; write {vary} … with the part that identifies the answer, "
        f"or {vary} None if nothing does"
    )


def _of_function(function: Any, requests: Collection[str], calls_left: int) -> Iterator[str]:
    function = unwrap(getattr(function, "__func__", function))
    if not isinstance(function, FunctionType):
        return
    known = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            known[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield from _of_code(function.__code__, requests, known, calls_left)


def _of_code(
    code: CodeType, requests: Collection[str], known: Mapping[str, Any], calls_left: int
) -> Iterator[str]:
    steps = list(get_instructions(code))
    for at, step in enumerate(steps):
        if not step.opname.startswith(LOADS):
            continue
        path = _path_after(steps, at)
        # Newer Pythons load two at once: only the last is followed by what is read of it.
        name = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
        if name in requests:
            yield from path[:1]
        elif "FAST" not in step.opname:
            yield from _of_known(known.get(name), path, calls_left)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _of_code(constant, requests, known, calls_left)


def _path_after(steps: Sequence[Instruction], at: int) -> list[str]:
    """Return the attributes, two at most, that are read of what one step loads."""
    path: list[str] = []
    for step in steps[at + 1 : at + 3]:
        if step.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
            break
        path.append(step.argval)
    return path


def _of_known(value: Any, path: list[str], calls_left: int) -> Iterator[str]:
    """Yield what is read by a function that is called, or of Flask's objects of the request."""
    if isinstance(value, ModuleType) and path:
        value, path = vars(value).get(path[0]), path[1:]
    elif path and type(value).__module__ not in ("builtins", "werkzeug.local"):
        method = getattr_static(type(value), path[0], None)
        value = method if isinstance(method, FunctionType) else value
    if isinstance(value, FunctionType):
        requests = _requests_of(value)
        if requests and calls_left:
            yield from _of_function(value, requests, calls_left - 1)
    elif type(value).__module__ == "werkzeug.local":
        yield from _of_proxy(value, path)


def _requests_of(function: FunctionType) -> list[str]:
    """Name the parameters of a function that are called as a request is."""
    code: Any = getattr(unwrap(function), "__code__", None)
    if not isinstance(code, CodeType):
        return []
    taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return [name for name in taken if is_named_request(name)]


def _of_proxy(value: Any, path: list[str]) -> Iterator[str]:
    """Yield what is read of an object of Flask's or Quart's that stands for one of the request."""
    for framework in loaded():
        if value is framework.request:
            yield from path[:1]
        elif (
            value is framework.g
        ):  # holds anything, connections of a database more often than users
            yield from IDENTITY.intersection(path[:1])
        elif value is not framework.current_app:
            continue
        return
    yield "session"  # or who has logged in, as Flask-Login's current_user
