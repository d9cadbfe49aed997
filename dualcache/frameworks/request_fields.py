"""The header fields of a request that FastAPI hands to an endpoint or to its dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fields_read"]


def fields_read(scope: Any) -> frozenset[str]:
    """Return the names, in lower case, for the route that an ASGI request came by.

    Known are parameters of FastAPI with `Header()`, and API keys in a field.
    """
    included = (scope.get("fastapi") or {}).get("effective_route_context")
    dependant = getattr(included or scope.get("route"), "dependant", None)
    return frozenset(name.lower() for name in _of_dependant(dependant))


def _of_dependant(dependant: Any) -> Iterator[str]:
    for parameter in getattr(dependant, "header_params", ()):
        yield from _of_parameter(parameter)
    scheme: Any = getattr(getattr(dependant, "call", None), "model", None)
    if getattr(getattr(scheme, "in_", None), "value", "") == "header":
        yield str(scheme.name)
    for each in getattr(dependant, "dependencies", ()):
        yield from _of_dependant(each)


def _of_parameter(parameter: Any) -> Iterator[str]:
    """Yield the name of a parameter, or those of all fields where it is a model."""
    info = parameter.field_info
    of_model = getattr(getattr(info, "annotation", None), "model_fields", None)
    if of_model is None:
        yield str(parameter.alias)
        return
    for name, field in of_model.items():
        written = str(field.alias or name)
        yield written.replace("_", "-") if getattr(info, "convert_underscores", True) else written
