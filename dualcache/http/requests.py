"""A request as ASGI and WSGI both tell it, and the names of its response: key, tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.http.keys import key_of, path_name, rendered, sorted_query, vary_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.http.fields import Fields
    from dualcache.http.policy import HttpPolicy

__all__ = [
    "HttpRequest",
    "base_name",
    "changed_tags",
    "response_key",
    "response_tags",
]


class HttpRequest(NamedTuple):
    """What the rules look at.

    `values` are the path parameters. `given` makes the request that functions of the user's get.
    `template` is that of the path; empty: not known.
    """

    method: str
    path: str
    query: bytes
    fields: Fields
    values: Mapping[str, Any]
    given: Callable[[], Any]
    template: str = ""


def base_name(request: HttpRequest, policy: HttpPolicy) -> str:
    """Return the name that all variants of a response share; it is their tag."""
    if policy.key_of is not None:
        return policy.key_of(request.given())
    if policy.key is not None:
        return rendered(policy.key, request.values)
    return path_name(request.path)


def response_key(request: HttpRequest, policy: HttpPolicy, base: str) -> str:
    """Return the key of the response to this very request."""
    told = None if policy.vary_of is None else policy.vary_of(request.given())
    digest = vary_digest(request.fields, policy.vary, told)
    return key_of(base, sorted_query(request.query, policy.query), digest)


def response_tags(request: HttpRequest, policy: HttpPolicy, base: str) -> list[str]:
    """Return the tags of a response that is stored."""
    return _named(base, policy.tags, request)


def changed_tags(request: HttpRequest, policy: HttpPolicy) -> list[str]:
    """Return the tags that a successful write deletes: that of its path, and `invalidates`."""
    return _named(base_name(request, policy), policy.invalidates, request)


def _named(base: str, templates: tuple[str, ...], request: HttpRequest) -> list[str]:
    told = [rendered(template, request.values) for template in templates]
    return list(dict.fromkeys([base, *told]))
