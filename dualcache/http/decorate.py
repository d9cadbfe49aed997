"""`cache.http(…)`: from the options as they were written to what stands behind HTTP mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.http.application import HttpApplication, is_asgi_application
from dualcache.http.asgi import AsgiHttp
from dualcache.http.flask_views import view_or_endpoint
from dualcache.http.policy import http_policy
from dualcache.http.starlette import decorated_endpoint
from dualcache.http.sync_http import SyncHttp
from dualcache.http.wsgi import is_wsgi_application, wsgi_application
from dualcache.keys.signature import FunctionSignature

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
        name = _name_of(function)
        if is_asgi_application(function):
            http = AsgiHttp(cache, runtime, policy, name, holds_parts=True)
            return HttpApplication(http, function)
        sync_http = SyncHttp(cache, runtime, policy, name)
        if is_wsgi_application(function):
            return wsgi_application(sync_http, function)
        endpoint = decorated_endpoint(AsgiHttp(cache, runtime, policy, name), function)
        return view_or_endpoint(sync_http, FunctionSignature.of(function), endpoint)

    return decorated


def _name_of(function: Any) -> str:
    """Return the name of a function, or of an application's class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return ".".join(filter(None, (named.__module__, named.__qualname__)))
