"""`StoredResponse`: one response as it is kept in the cache."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from msgspec import Struct

from dualcache.http.fields import has_field, values_of

__all__ = ["StoredResponse", "stored_response"]

HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-connection"}
    | {b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
"""Fields that concern one connection (RFC 9111 §3.1)."""
DATED: Final = frozenset({b"age", b"date"})
"""Fields that are made anew for each answer."""
REPRESENTED: Final = (b"content-type", b"content-encoding", b"content-language")
"""Fields that tell two representations with equal bytes apart."""


class StoredResponse(Struct, frozen=True):
    """Status, fields and body of a response; `created_ms` is when it was made, by our clock."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes
    created_ms: int


def stored_response(
    status: int, fields: list[tuple[bytes, bytes]], body: bytes, now_ms: int
) -> StoredResponse:
    """Return a response as it is stored: without what concerns one connection, with an `ETag`."""
    kept = [(name, value) for name, value in fields if name not in HOP_BY_HOP | DATED]
    if status == 200 and not has_field(kept, b"etag"):
        kept.append((b"etag", _etag(kept, body)))
    return StoredResponse(status, kept, body, now_ms)


def _etag(fields: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Make a strong validator: the same in all processes for the same bytes."""
    digest = blake2b(body, digest_size=16)
    for name in REPRESENTED:
        for value in values_of(fields, name):
            digest.update(b"\0" + name + b":" + value)
    return b'"' + digest.hexdigest().encode() + b'"'
