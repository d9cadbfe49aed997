"""The names of a response: its key, and the base name under which all its variants can be deleted.

`http:GET:/posts?page=2#3f…`: the method, the base name, the sorted query, and a digest of the
values that `vary` names.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlencode

from dualcache.http.fields import field
from dualcache.keys.escaping import escape
from dualcache.keys.names import user_key
from dualcache.keys.templates import check_names, parse_template, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualcache.http.fields import Fields
    from dualcache.keys.placeholders import Template

__all__ = ["Query", "key_of", "path_name", "rendered", "sorted_query", "vary_digest"]

Query: TypeAlias = "bool | tuple[str, ...]"
"""Whether the query is part of the key; names that count, or, with `!`, those that do not."""

PLAIN_QUERY: Final = re.compile(rb"[\w.~-]+=[\w.~-]*(?:&[\w.~-]+=[\w.~-]*)*")
"""A query that is written as `sorted_query` writes it, but for the order."""


def key_of(base: str, query: str, digest: str) -> str:
    """Return the key of a GET response; the answer to a HEAD is made of it too."""
    return f"http:GET:{base}{'?' * bool(query)}{query}{'#' * bool(digest)}{digest}"


def path_name(path: str) -> str:
    """Return the base name of a path, as `rendered` makes it from a template."""
    return _as_path(escape(path))


def rendered(written: str, values: Mapping[str, Any]) -> str:
    """Return the name that a template gives for the path parameters of a request.

    One that begins with `/` is a path, and names the responses of that path. Raises
    `KeyTemplateError` for a placeholder that the path has not.
    """
    template = _parsed(written)
    check_names(template, tuple(values), signature_text="the path of this request")
    name = user_key(render(template, values))
    return _as_path(name) if name.startswith("/") else name


@lru_cache(1_024)
def _parsed(written: str) -> Template:
    return parse_template(written, what="a template", owner="cache.http()")


def sorted_query(raw: bytes, query: Query) -> str:
    """Return the part of a query that counts, sorted by name, and spelled in one way.

    Values of one name keep their order: it may mean something to the endpoint.
    """
    if not raw or query is False:
        return ""
    if query is True and PLAIN_QUERY.fullmatch(raw):  # as most are: nothing to decode
        parts = raw.decode("ascii").split("&")
        return "&".join(sorted(parts, key=lambda part: part.partition("=")[0]))
    # As Latin-1 each byte is a character: bytes that are no UTF-8 stay what they are.
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    if query is not True:
        pairs = [pair for pair in pairs if _counts(pair[0], query)]
    return urlencode(sorted(pairs, key=lambda pair: pair[0]), encoding="latin-1")


def vary_digest(request: Fields, names: Sequence[str], more: object = None) -> str:
    """Return a digest of the named fields of a request, and of what a `vary` function returned.

    Only a digest is part of the key: the values may be secrets, and are as long as clients like.
    """
    if not names and more is None:
        return ""
    values = [field(request, name.encode()) for name in names]
    told = "" if more is None else str(more)
    digest = blake2b(digest_size=12)
    for value in (*values, told):
        # With its length before it: two values cannot pass for two others.
        encoded = value.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.hexdigest()


def _as_path(name: str) -> str:
    # A path may hold `:`, which templates escape in values; `#` begins the digest.
    return name.replace("%3A", ":").replace("#", "%23")


def _counts(name: str, query: Sequence[str]) -> bool:
    """Tell whether a parameter counts by names with wildcards; a later one overrides an earlier."""
    counts = query[0].startswith("!")
    for written in query:
        if fnmatchcase(name, written.removeprefix("!")):
            counts = not written.startswith("!")
    return counts
