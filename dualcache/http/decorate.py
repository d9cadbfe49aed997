"""`cache.http(…)`: from the options as they were written to the decorated endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.http.asgi import AsgiHttp
from dualcache.http.policy import http_policy
from dualcache.http.starlette import decorated_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.runtime.runtime import Runtime

__all__ = ["http_decorator"]


def http_decorator(
    cache: Any, runtime: Runtime, written: Mapping[str, Any]
) -> Callable[[Any], Any]:
    """Check the options; return the decorator."""
    default: Any = runtime.defaults.fields.get("ttl_ms")
    policy = http_policy(written, default, runtime.codecs.max_value_bytes)

    def decorated(function: Any) -> Any:
        name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
        return decorated_endpoint(AsgiHttp(cache, runtime, policy, name), function)

    return decorated
