"""Conditional requests and the 304 that answers them (RFC 9110 §13.1.2, §13.1.3, §15.4.5)."""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Final

from dualcache.http.fields import field, has_field

if TYPE_CHECKING:
    from dualcache.http.fields import Fields

__all__ = ["is_not_modified", "not_modified_fields"]

ENTITY_TAG: Final = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
LISTED: Final = re.compile(rf"(?:^|,)[ \t]*{ENTITY_TAG.pattern}[ \t]*(?=,|$)")
"""An entity tag as a member of a list. A comma may stand within a tag."""
KEPT: Final = frozenset(
    {b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary"}
    | {b"age", b"cache-status"}
)
"""The fields of a 304: those that a 200 would have had, but none that describes the body."""


def is_not_modified(request: Fields, status: int, response: Fields) -> bool:
    """Tell whether a client already has this response.

    `If-None-Match` compares weakly, and `*` matches any response. `If-Modified-Since` counts only
    where there is none. Only a 200 is compared: for other statuses a condition means nothing.
    """
    if status != 200:
        return False
    if has_field(request, b"if-none-match"):
        asked = field(request, b"if-none-match")
        return asked == "*" or _opaque(field(response, b"etag")) in LISTED.findall(asked)
    since = field(request, b"if-modified-since")
    return bool(since) and _is_unmodified(since, field(response, b"last-modified"))


def not_modified_fields(fields: Fields) -> Fields:
    """Return the fields of a 304 out of those that the 200 would have."""
    return [(name, value) for name, value in fields if name in KEPT]


def _opaque(etag: str) -> str | None:
    """Return the part of an entity tag that a weak comparison compares."""
    found = ENTITY_TAG.fullmatch(etag)
    return None if found is None else found[1]


def _is_unmodified(since: str, modified: str) -> bool:
    """Compare two HTTP-dates; a condition that is no date is ignored."""
    if not modified:
        return False
    asked, own = _seconds(since), _seconds(modified)
    return asked is not None and own is not None and own <= asked


def _seconds(date: str) -> int | None:
    """Read an HTTP-date in any of its three forms (RFC 9110 §5.6.7)."""
    parsed = parsedate_tz(date)
    if parsed is None:
        return None
    try:
        return mktime_tz(parsed)
    except (ValueError, OverflowError):  # a 32nd of January; a year that no date has
        return None
