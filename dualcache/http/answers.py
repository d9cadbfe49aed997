"""From a stored response, or one that passes, to what is sent to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from dualcache.http.cache_control import cache_control
from dualcache.http.cache_status import CacheStatus
from dualcache.http.conditional import is_not_modified, not_modified_fields
from dualcache.http.fields import field, has_field, items

if TYPE_CHECKING:
    from dualcache.http.fields import Fields
    from dualcache.http.policy import HttpPolicy
    from dualcache.http.stored import StoredResponse

__all__ = ["Answer", "answer_from", "hit_status", "others_status", "own_status", "passed_fields"]


class Answer(NamedTuple):
    """A response as it is sent."""

    status: int
    fields: Fields
    body: bytes


def answer_from(
    stored: StoredResponse,
    request: Fields,
    policy: HttpPolicy,
    status: CacheStatus,
    *,
    now_ms: int,
    is_head: bool = False,
) -> Answer:
    """Return the answer to one request, out of a response that was stored or just made.

    What the endpoint has set stays as it is; only what it left out is added.
    """
    age = age_of(stored, now_ms)
    fields = list(stored.fields)
    if not has_field(fields, b"cache-control") and not has_field(fields, b"expires"):
        fields.append((b"cache-control", cache_control(policy, age)))
    fields += _vary(fields, policy)
    if status.forward is None or status.is_collapsed:
        fields.append((b"age", b"%d" % age))
    fields.append((b"cache-status", status.written()))
    if is_not_modified(request, stored.status, fields):
        return Answer(304, not_modified_fields(fields), b"")
    return Answer(stored.status, fields, b"" if is_head else stored.body)


def hit_status(stored: StoredResponse, policy: HttpPolicy, now_ms: int) -> CacheStatus:
    """Return the `Cache-Status` of a response that was found in the cache."""
    if policy.ttl_ms is None:
        return CacheStatus()
    return CacheStatus(ttl=policy.ttl_ms // 1000 - age_of(stored, now_ms))


def own_status(asked: CacheStatus, *, is_kept: bool, is_stored: bool) -> CacheStatus:
    """Return the status of a response that this request has made.

    `is_kept`: it may be stored. `is_stored`: it was; not while the server is down, nor where its
    key was deleted meanwhile.
    """
    detail = asked.detail or ("" if is_kept else "status")
    return replace(asked, is_stored=is_kept and is_stored, detail=detail)


def others_status(
    asked: CacheStatus, found: StoredResponse, policy: HttpPolicy, began_ms: int, now_ms: int
) -> CacheStatus:
    """Return the status of a response that another request has made, before this or meanwhile."""
    if found.created_ms > began_ms:
        return replace(asked, is_collapsed=True)
    return hit_status(found, policy, now_ms)


def passed_fields(fields: Fields, status: CacheStatus) -> Fields:
    """Return the fields of a response that goes out as the endpoint made it."""
    return [*fields, (b"cache-status", status.written())]


def age_of(stored: StoredResponse, now_ms: int) -> int:
    """Return the age in whole seconds; the clock of another machine may be ahead of ours."""
    return max(0, now_ms - stored.created_ms) // 1000


def _vary(fields: Fields, policy: HttpPolicy) -> Fields:
    """Return the line of `Vary` that names what the endpoint's own lines leave out."""
    named = {name.lower() for name in items(field(fields, b"vary"))}
    missing = [name for name in policy.vary if not {name, "*"} & named]
    return [(b"vary", ", ".join(missing).encode())] if missing else []
