"""The first call of a cached function that is no endpoint, where a web framework is there.

Only then its request can be seen: whether it writes, and what the key does not hold of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.frameworks.flask_context import serving
from dualcache.frameworks.reading import IDENTITY, parts_read, unkeyed_line
from dualcache.frameworks.roles import REQUESTS
from dualcache.frameworks.routes import INSTEAD, SAFE, VERBS, layers
from dualcache.functions.advice import warn_of_function
from dualcache.keys.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualcache.keys.signature import FunctionSignature

__all__ = ["look_at"]

ASKED: Final = IDENTITY | {"query_params", "args", "GET", "query_string"}
"""A request's question, and its caller."""


def look_at(
    signature: FunctionSignature, values: Sequence[Any], key: str | None, *, has_vary: bool
) -> None:
    """Warn of what is likely wrong with a call that has a request, or is made under one.

    `key` is the template of the key; with a `vary`, the user tells requests apart.
    """
    requests = list(_requests_among(values))
    if requests:
        _warn_of_unsafe_read(signature, requests)
        if not has_vary:
            _warn_of_unkeyed_parts(signature, key, values)


def _warn_of_unsafe_read(signature: FunctionSignature, requests: Sequence[Any]) -> None:
    """Warn where a call is the answer to a request that writes.

    A helper that gets the request of a view which writes may well be cached.
    """
    for request in requests:
        method, endpoint = str(request.method).upper(), _endpoint_of(request)
        is_helper = endpoint is not None and not _is_the_same(endpoint, signature.function)
        if method in SAFE or is_helper:
            continue
        warn_of_function(
            signature,
            f"[DC405] {signature.name} answers a {method} and is cached as a read, so it does not "
            f"run each time; {INSTEAD}",
        )
        return


def _warn_of_unkeyed_parts(
    signature: FunctionSignature, key: str | None, values: Sequence[Any]
) -> None:
    """Warn where a function takes from its request what its key does not hold."""
    used = set[str]()
    if key is not None:
        used = {*parse_template(key, owner=signature.name).names}
    named = zip(signature.parameters, values, strict=False)
    own = [name for name, value in named if _is_request(value) and name not in used]
    parts = parts_read(signature, own) & ASKED
    if parts:
        warn_of_function(signature, unkeyed_line(signature, min(parts)))


def _requests_among(values: Sequence[Any]) -> Iterator[Any]:
    yield from filter(_is_request, values)
    if (framework := serving()) is not None:
        yield framework.request


def _is_request(value: Any) -> bool:
    is_named_so = any(kind.__name__ in REQUESTS for kind in type(value).__mro__)
    return is_named_so and isinstance(getattr(value, "method", None), str)


def _endpoint_of(request: Any) -> Any:
    """Return the function that answers a request, in ASGI, Django or Flask; `None`: not known."""
    scope = getattr(request, "scope", None)
    if isinstance(scope, dict) and scope.get("endpoint") is not None:
        return scope["endpoint"]
    if (match := getattr(request, "resolver_match", None)) is not None:
        return match.func
    framework = serving()
    if framework is None:
        return None
    return framework.current_app.view_functions.get(framework.request.endpoint)


def _is_the_same(endpoint: Any, function: Any) -> bool:
    handlers = [endpoint]
    if isinstance(endpoint, type):
        handlers = [getattr(endpoint, verb, None) for verb in VERBS]
    *_, innermost = layers(function)
    return any(layer is innermost for each in handlers for layer in layers(each))
