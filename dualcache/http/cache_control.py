"""`Cache-Control` towards the client: its own lifetime, never that of the stored entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualcache.http.policy import HttpPolicy

__all__ = ["cache_control"]


def cache_control(policy: HttpPolicy, age: int) -> bytes:
    """Write the field for a response that is `age` seconds old and sets none itself.

    Without `client_ttl` a client asks each time (`no-cache`): it sees an invalidation at once, and
    a 304 costs little. With one it keeps the response for so long after it got it: a client
    subtracts `Age` from `max-age` (RFC 9111 §4.2.3), so what is in the cache already is added.
    """
    parts = ["public" if policy.is_public else "private"]
    if not policy.client_ttl:
        return ", ".join([*parts, "no-cache"]).encode()
    parts.append(f"max-age={policy.client_ttl + age}")
    if policy.stale_while_revalidate:
        parts.append(f"stale-while-revalidate={policy.stale_while_revalidate}")
    if policy.stale_if_error:
        parts.append(f"stale-if-error={policy.stale_if_error}")
    return ", ".join(parts).encode()
