"""The parts of a request that the body of a read uses: query string and path, as `:query=…`.

A framework that binds the query to parameters (FastAPI, Litestar) has it in the key already.
Elsewhere nothing but the request tells `?page=2` from page 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from dualcache.frameworks.roles import request_of
from dualcache.keys.digests import digest, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dualcache.keys.signature import FunctionSignature

__all__ = ["query_of"]

BINDING: Final = frozenset({"fastapi", "litestar"})
"""Packages of frameworks whose routes bind the query to parameters."""


def query_of(
    signature: FunctionSignature,
    values: tuple[Any, ...],
    places: Sequence[int],
    wanted: Sequence[str] | None,
    *,
    is_certain: bool,
) -> str:
    """Write what the request of a call adds to its key: `:query=/post_id=5&page=2`, or nothing.

    Names of the path have a `/` before them, which no name of a query can have here. Of several
    values of one name the order stays. `wanted` names those that count; `None`: all. With
    `is_certain` they count whatever the framework binds.
    """
    request = request_of(values, places)
    if request is None or (not is_certain and _binds_query(request)):
        return ""
    bound = dict(zip(signature.parameters, values, strict=True))
    path = (
        (name, str(value))
        for name, value in _path_of(request).items()
        # Bound to the parameter of that name, which is part of the key by itself.
        if name not in bound or str(bound[name]) != str(value)
    )
    # Byte by byte, so that broken UTF-8 is told apart as well.
    query = parse_qsl(_query_of(request), keep_blank_values=True, encoding="latin-1")
    pairs = [*_written("/", path, wanted, "utf-8"), *_written("", query, wanted, "latin-1")]
    return f":query={'&'.join(pairs)}" if pairs else ""


def _written(
    mark: str, pairs: Iterable[tuple[str, str]], wanted: Sequence[str] | None, encoding: str
) -> Iterator[str]:
    for name, value in sorted(pairs, key=lambda pair: pair[0]):
        if wanted is None or name.encode(encoding, "replace").decode("utf-8", "replace") in wanted:
            written = _quoted(value, encoding)
            shown = digest(written) if is_secret_name(name) else written
            yield f"{mark}{_quoted(name, encoding)}={shown}"


def _quoted(text: str, encoding: str) -> str:
    return quote(text.encode(encoding, "surrogatepass"), safe="")


def _binds_query(request: Any) -> bool:
    """Tell whether the framework of a request binds the query to parameters."""
    scope = getattr(request, "scope", None)
    route = scope.get("route") if isinstance(scope, dict) else None
    kinds = (*type(request).__mro__, *type(route).__mro__)
    return any(kind.__module__.partition(".")[0] in BINDING for kind in kinds)


def _query_of(request: Any) -> str:
    """Return the query string, byte by byte."""
    found = next(each for each in _queries_of(request) if isinstance(each, (bytes, str)))
    data = found.encode("utf-8", "surrogateescape") if isinstance(found, str) else found
    return data.decode("latin-1")


def _queries_of(request: Any) -> Iterator[Any]:
    """Yield what may be the query: of ASGI, Werkzeug or aiohttp, of Django, of the URL itself."""
    scope = getattr(request, "scope", None)
    if isinstance(scope, dict):
        yield scope.get("query_string", b"")
    yield getattr(request, "query_string", None)
    meta = getattr(request, "META", None)
    yield meta.get("QUERY_STRING") if isinstance(meta, Mapping) else None
    yield urlsplit(str(getattr(request, "url", ""))).query


def _path_of(request: Any) -> Mapping[str, Any]:
    """Return the path's values by their names, in the same frameworks."""
    scope = getattr(request, "scope", None)
    if isinstance(scope, dict):
        found = scope.get("path_params")
    else:
        match = getattr(request, "resolver_match", None)
        found = getattr(request, "view_args", None) or getattr(match, "kwargs", None)
        found = found or getattr(request, "match_info", None)
    return found if isinstance(found, Mapping) else {}
