"""Parameters that a security dependency of FastAPI fills: keys hide their values."""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin

from dualcache.keys.annotations import is_free_text
from dualcache.keys.digests import is_secret_name
from dualcache.keys.signature import FunctionSignature

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["holds_credential", "is_hidden"]

DEEPEST: Final = 5
"""How far dependencies of dependencies are looked at."""


def is_hidden(signature: FunctionSignature, name: str) -> bool:
    """Return whether a key shows a digest instead of a parameter's value.

    By its name or alias, or because it is free text that comes from a cookie or, over any number of
    steps, from a security scheme.
    """
    if is_secret_name(name):
        return True
    if not _is_text(signature, name):
        return False
    return any(_is_secret_source(mark) for mark in _marks(signature, name)[1]) or any(
        _is_scheme(each) or _uses_scheme(each, DEEPEST) for each in _dependencies(signature, name)
    )


def holds_credential(signature: FunctionSignature, name: str) -> bool:
    """Tell whether a security scheme fills a parameter with a credential: a token, a key."""
    return _is_text(signature, name) and any(
        _is_scheme(each) for each in _dependencies(signature, name)
    )


def _is_text(signature: FunctionSignature, name: str) -> bool:
    return is_free_text(signature.hints().get(name, str))


def _dependencies(signature: FunctionSignature, name: str) -> Iterator[Any]:
    """Yield what `Depends` and `Security` name for a parameter."""
    kind, marks = _marks(signature, name)
    for mark in marks:
        if type(mark).__name__ in ("Depends", "Security"):
            dependency = getattr(mark, "dependency", None)
            yield kind if dependency is None else dependency  # `Depends()` is of the annotation


def _marks(signature: FunctionSignature, name: str) -> tuple[Any, list[Any]]:
    """Return a parameter's annotation, and FastAPI's marks there or in its default."""
    hint = signature.hints().get(name)
    kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    parameter = signature.by_name.get(name)
    if parameter is not None and parameter.default is not Parameter.empty:
        marks.append(parameter.default)
    return kind, marks


def _is_secret_source(mark: Any) -> bool:
    """Tell whether `Cookie()`, `Header(alias=…)` or the like say where a secret comes from."""
    if not type(mark).__module__.startswith("fastapi."):
        return False
    alias = getattr(mark, "alias", None)
    return type(mark).__name__ == "Cookie" or (isinstance(alias, str) and is_secret_name(alias))


def _is_scheme(dependency: Any) -> bool:
    kinds = type(dependency).__mro__
    return any(kind.__module__.startswith("fastapi.security") for kind in kinds)


def _uses_scheme(dependency: Any, steps_left: int) -> bool:
    if not callable(dependency) or not steps_left:
        return False
    try:
        signature = FunctionSignature(dependency)
    except (TypeError, ValueError):  # written in C, without a signature
        return False
    return any(
        _is_scheme(each) or _uses_scheme(each, steps_left - 1)
        for name in signature.parameters
        for each in _dependencies(signature, name)
    )
