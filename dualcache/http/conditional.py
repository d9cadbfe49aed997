"""Conditional requests: `If-None-Match` and the 304 that answers it (RFC 9110 §13.1.2, §15.4.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dualcache.http.fields import field

if TYPE_CHECKING:
    from dualcache.http.fields import Fields

__all__ = ["is_not_modified", "not_modified_fields"]

ENTITY_TAG: Final = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
KEPT: Final = frozenset(
    {b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary"}
    | {b"age", b"cache-status"}
)
"""The fields of a 304: those that a 200 would have had, but none that describes the body."""


def is_not_modified(request: Fields, status: int, response: Fields) -> bool:
    """Tell whether a client already has this response.

    Tags are compared weakly. `*` matches any response. Only a 200 is compared: for other statuses
    the condition means nothing.
    """
    asked = field(request, b"if-none-match")
    if not asked or status != 200:
        return False
    if asked == "*":
        return True
    own = ENTITY_TAG.fullmatch(field(response, b"etag"))
    # A comma may stand within a tag, so tags are found, and not the commas between them.
    return own is not None and own[1] in ENTITY_TAG.findall(asked)


def not_modified_fields(fields: Fields) -> Fields:
    """Return the fields of a 304 out of those that the 200 would have."""
    return [(name, value) for name, value in fields if name in KEPT]
