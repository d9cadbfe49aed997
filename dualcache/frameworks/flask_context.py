"""Flask and Quart, whose current request is no parameter of a view."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.keys.signature import FunctionSignature

__all__ = ["loaded", "origins", "serving", "speaks_flask"]

NAMES: Final = ("flask", "quart")


def loaded() -> Iterator[Any]:
    """Yield those of the two that the program has imported."""
    for name in NAMES:
        if (module := sys.modules.get(name)) is not None:
            yield module


def serving() -> Any | None:
    """Return the one that answers a request in this thread or task."""
    return next((each for each in loaded() if each.has_request_context()), None)


def speaks_flask(signature: FunctionSignature) -> bool:
    """Tell whether a function's module, or what encloses it, has something of these two."""
    return any(loaded()) and not origins(signature).isdisjoint(NAMES)


def origins(signature: FunctionSignature) -> set[str]:
    """Name the packages from which a function's module, or what encloses it, has something."""
    function: Any = signature.function
    visible = list(getattr(function, "__globals__", {}).values())
    for cell in getattr(function, "__closure__", None) or ():
        try:
            visible.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            continue
    return {_origin(value) for value in visible}


def _origin(value: Any) -> str:
    """Return the package that a value comes from; of a proxy of a request too."""
    kind: type[Any] = type(value)
    if kind.__module__ == "builtins":
        # A module, a function or a class says itself where it is from.
        name = getattr(value, "__name__" if kind.__name__ == "module" else "__module__", "")
    else:
        name = getattr(value, "__module__", "") if isinstance(value, type) else kind.__module__
    return str(name).partition(".")[0]
