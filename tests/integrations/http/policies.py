"""Policies for tests of single decisions: what `cache.http` makes of its options."""

from __future__ import annotations

from typing import Any, Final

import http_sf

from dualcache.http.policy import HttpPolicy, http_policy

CACHE_TTL_MS: Final = 3_600_000
MAX_BYTES: Final = 1_000_000


def policy(**options: Any) -> HttpPolicy:
    """Check these options, and the defaults of the others; a ttl of one minute."""
    return http_policy({"ttl": 60, **options}, CACHE_TTL_MS, MAX_BYTES)


def fields(**named: str) -> list[tuple[bytes, bytes]]:
    """Return header fields: `if_none_match="*"` is `If-None-Match: *`."""
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]


def parsed_status(written: bytes | str) -> dict[str, Any]:
    """Return the parameters of this cache's member, as another party's parser reads the field."""
    members: Any = http_sf.parse(
        written if isinstance(written, bytes) else written.encode(), tltype="list"
    )
    item, found = members[-1]
    assert item == http_sf.Token("dualcache")
    return {
        key: str(value) if isinstance(value, http_sf.Token) else value
        for key, value in found.items()
    }
