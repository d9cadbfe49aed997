"""May a request be answered from the cache, and may a response be stored? With reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.http.cache_status import Forward
from dualcache.http.fields import directives, field, has_field, items

if TYPE_CHECKING:
    from dualcache.http.fields import Fields
    from dualcache.http.policy import HttpPolicy

__all__ = ["SAFE_METHODS", "is_invalidating", "is_server_error", "why_forwarded", "why_unstored"]

READ_METHODS: Final = frozenset({"GET", "HEAD"})
SAFE_METHODS: Final = READ_METHODS | {"OPTIONS", "TRACE", "QUERY"}
"""Methods that change nothing (RFC 9110 §9.2.1)."""
ASKED_IN_PART: Final = (b"range", b"if-match", b"if-unmodified-since", b"if-range")
"""Fields whose answer depends on more than the stored response."""
IDENTITY: Final = (b"authorization", b"cookie")
NO_FINAL: Final = frozenset({206, 304})
"""Statuses below 400 whose response is a part of another one."""


def why_forwarded(method: str, request: Fields, policy: HttpPolicy) -> tuple[Forward, str] | None:
    """Return why a request is not answered from the cache, and a word for it; `None`: it may be.

    A request that tells who asks goes on to the endpoint, unless the key tells identities apart or
    `shared=True` says that the answer is the same for all.
    """
    if method not in READ_METHODS:
        return Forward.METHOD, ""
    names = {name for name, _ in request}
    for name in ASKED_IN_PART:
        if name in names:
            return Forward.BYPASS, name.decode()
    for name in IDENTITY:
        if name in names and not policy.covers(name):
            return Forward.BYPASS, name.decode()
    if policy.honors_request:
        asked = directives(field(request, b"cache-control"))
        if "no-store" in asked:
            return Forward.BYPASS, "no-store"
        if "no-cache" in asked:
            return Forward.REQUEST, "no-cache"
    return None


def why_unstored(status: int, response: Fields, policy: HttpPolicy) -> str:
    """Return why a response is not stored, in a word; empty: it is stored.

    The status comes last: where it is the reason, the response is nobody's in particular.
    """
    if has_field(response, b"set-cookie"):
        return "set-cookie"
    if field(response, b"content-type").partition(";")[0].strip().lower() == "text/event-stream":
        return "event-stream"
    said = directives(field(response, b"cache-control"))
    if "no-store" in said:
        return "no-store"
    if "private" in said and not policy.names_identity:
        return "private"
    if any(not policy.varies_by(name) for name in items(field(response, b"vary"))):
        return "vary"
    if status in NO_FINAL or (status not in policy.statuses and not 200 <= status < 400):
        return "status"
    return ""


def is_server_error(status: int, policy: HttpPolicy) -> bool:
    """Tell whether a response is a failure, for which a stale one may stand in (RFC 5861 §4)."""
    return status >= 500 and status not in policy.statuses


def is_invalidating(method: str, status: int) -> bool:
    """Tell whether a request has changed what is stored (RFC 9111 §4.4)."""
    return method not in SAFE_METHODS and 200 <= status < 400
